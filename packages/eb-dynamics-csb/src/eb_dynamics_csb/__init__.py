"""Continuous simulated bifurcation: damped inertial dynamics with walls."""
