"""Physics: the energy of a unit, where its state lives, and the cost of a read-out."""
