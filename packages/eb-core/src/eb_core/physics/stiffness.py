"""The largest curvature that units of an energy have by themselves: what steps on the force are measured in."""

import functools
import math

import torch

from eb_core.physics.domain import Box
from eb_core.physics.energy import KINDS, Energy

WIDTH = 3.0
"""Units without walls are looked at no further from 0."""


def largest_stiffness(energy: Energy) -> float:
    """c: the largest self''(s) of hidden and output units in their domains, at most `WIDTH` from 0; never negative."""
    try:
        return _remembered(energy)
    except TypeError:  # an energy with options that have no hash
        return _measured(energy)


def _measured(energy: Energy) -> float:
    largest = 0.0
    for layer in KINDS:
        domain = energy.domain(layer)
        walls = (domain.lower, domain.upper) if isinstance(domain, Box) else (-math.inf, math.inf)
        ends = (max(walls[0], -WIDTH), min(walls[1], WIDTH))
        with torch.enable_grad():
            s = torch.linspace(*ends, 33, dtype=torch.float64).unsqueeze(1).requires_grad_()
            slope = energy.self_derivative(layer, s)
            if slope is s:
                largest = max(largest, 1.0)
                continue
            (curvature,) = torch.autograd.grad((slope + 0 * s).sum(), s)
        largest = max(largest, float(curvature.max()))
    return largest


_remembered = functools.lru_cache(maxsize=64)(_measured)
