"""Coherent Ising machines: pumped amplitudes, and relaxers that settle them."""
