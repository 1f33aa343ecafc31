"""Hopfield energy and the relaxers that minimise it: asynchronous, synchronous, gradient flow."""
