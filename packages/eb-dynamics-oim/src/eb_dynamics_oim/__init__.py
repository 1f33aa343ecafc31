"""Oscillator Ising machines: phases, and relaxers that settle them."""
