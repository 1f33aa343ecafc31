"""Networks, energies, costs and data: what there is, before anything settles or learns."""
