"""Spins of a layer that a lateral edge joins take turns: each sees those before it as they have become."""

from collections.abc import Callable

import torch
from torch import Tensor

from eb_core.network.network import Layer
from eb_core.physics.energy import Energy


def minimized_in_turn(
    energy: Energy,
    layer: Layer,
    couple: Callable[[Tensor], Tensor],
    field: Tensor,
    s: Tensor,
    curvature: Tensor | None,
    clamped: Callable[[Tensor], Tensor],
) -> Tensor:
    """Unit after unit of a layer to its minimum, (B, *shape).

    Args:
        energy: the physics of the units.
        layer: the layer whose units take turns.
        couple: J v of the lateral edges, for v stacked, (channels * B, *shape).
        field: local field at s, (channels, B, *shape), lateral edges included.
        s: current states, (B, *shape).
        curvature: as in `Energy.minimize_unit`.
        clamped: puts clamped units back to their values.
    """
    nobody = torch.zeros(layer.size, dtype=torch.bool, device=s.device)
    for unit in range(layer.size):
        turn = nobody.clone()
        turn[unit] = True
        new = torch.where(turn.view(layer.shape), energy.minimize_unit(layer, field, s, curvature), s)
        new = clamped(new)
        change = (energy.encode(layer, new) - energy.encode(layer, s)).flatten(0, 1)
        field = field + couple(change).view(field.shape)
        s = new
    return s
