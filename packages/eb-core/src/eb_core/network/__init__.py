"""Wiring: layers, the edges between and within them, and the networks made of them."""
