"""Lateral edge: every unit of a layer with every other one, drive(u) = U u, pullback(u) = U' u.

    E_edge = - <U u, u> = - sum_{i<j} U_ij u_i u_j,   U the strict upper triangle of the weight

so that the field on the layer is J u with the symmetric couplings J = U + U', and no unit couples to itself.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core.things.dense import Dense


class Lateral(Dense):
    """Couplings within one layer; `weight` is (units, units), of which only the strict upper triangle acts.

    Args:
        layer: name of the layer; shape: its shape, flattened for the product.
        gain: weights start as U(+-gain / sqrt(units - 1)); None leaves the gain to the energy.
    """

    def __init__(self, layer: str, shape: Sequence[int], gain: float | None = None) -> None:
        super().__init__(layer, layer, shape, shape, gain)
        self.fan_in = max(math.prod(shape) - 1, 1)
        self._upper: tuple[tuple[object, ...], Tensor] | None = None

    def matrix(self) -> Tensor:
        """U; without autograd it is kept until the weight changes in place."""
        weight = self.weight
        if torch.is_grad_enabled() or weight.is_inference():
            return weight.triu(1)
        now = (weight._version, weight.data_ptr(), weight.dtype, weight.device)
        if self._upper is None or self._upper[0] != now:
            self._upper = (now, weight.triu(1))
        return self._upper[1]

    def gradient(self, u_pre: Tensor, u_post: Tensor) -> dict[str, Tensor]:
        return {"weight": super().gradient(u_pre, u_post)["weight"].triu(1)}

    def majorant(self, shape: tuple[int, ...]) -> Tensor:
        size = self.matrix().detach().abs()
        return (size.sum(0) + size.sum(1)).view(shape)

    @torch.no_grad()
    def project_(self) -> None:
        """Put the diagonal and the lower triangle to 0."""
        self.weight.triu_(1)
