"""Spins of a layer that a lateral edge joins take turns: each sees those before it as they have become."""

import torch
from torch import Tensor

from eb_core.network.network import Layer
from eb_core.settling.problem import Problem


def minimized_in_turn(problem: Problem, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None) -> Tensor:
    """Unit after unit of a layer to its minimum, (B, *shape); clamped units keep their values.

    Args:
        field: local field at s, (channels, B, *shape), lateral edges included.
        curvature: as in `Energy.minimize_unit`.
    """
    energy, edges = problem.energy, problem.network.lateral(layer.name)
    nobody = torch.zeros(layer.size, dtype=torch.bool, device=s.device)
    for unit in range(layer.size):
        turn = nobody.clone()
        turn[unit] = True
        new = torch.where(turn.view(layer.shape), energy.minimize_unit(layer, field, s, curvature), s)
        new = problem.apply_clamp(layer.name, new)
        change = (energy.encode(layer, new) - energy.encode(layer, s)).flatten(0, 1)
        for edge in edges:
            field = field + edge.pullback(change, edge.drive(change)).view(field.shape)
        s = new
    return s
