"""Lateral edge: every unit of a layer with every other one, drive(u) = U u, pullback(u) = U' u.

    E_edge = - <U u, u> = - sum_{i<j} U_ij u_i u_j,   U the strict upper triangle of the weight

so that the field on the layer is J u with the symmetric couplings J = U + U', and no unit couples to itself.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core.network.dense import Dense


class Lateral(Dense):
    """Couplings within one layer; `weight` is (units, units), of which only the strict upper triangle acts.

    Args:
        layer: name of the layer; shape: its shape, flattened for the product.
        gain: weights start as U(+-gain / sqrt(units - 1)); None leaves the gain to the energy.
    """

    def __init__(self, layer: str, shape: Sequence[int], gain: float | None = None) -> None:
        super().__init__(layer, layer, shape, shape, gain)
        self.fan_in = max(math.prod(shape) - 1, 1)
        self._upper: tuple[tuple[object, ...] | None, Tensor] | None = None
        self._bound: tuple[tuple[object, ...] | None, Tensor] | None = None

    def matrix(self) -> Tensor:
        """U; without autograd it is kept until the weight changes in place."""
        weight = self.weight
        if torch.is_grad_enabled():
            return weight.triu(1)
        now = self._version_of_weight()
        if now is None or self._upper is None or self._upper[0] != now:
            self._upper = (now, weight.triu(1))
        return self._upper[1]

    def _version_of_weight(self) -> tuple[object, ...] | None:
        """What changes with the weight; None for tensors that do not count their changes."""
        weight = self.weight
        return None if weight.is_inference() else (weight._version, weight.data_ptr(), weight.dtype, weight.device)

    def gradient(self, u_pre: Tensor, u_post: Tensor) -> dict[str, Tensor]:
        return {"weight": super().gradient(u_pre, u_post)["weight"].triu(1)}

    @torch.no_grad()
    def majorant(self, shape: tuple[int, ...]) -> Tensor:
        """The smaller one on average of sum_j |J_ij| and, for all units alike, (tr J^8)^(1/8) >= |eigenvalue of J|.

        For n units with random couplings of size q: 0.8 q n, and 1.4 q n^(5/8); what would do is 2 q n^(1/2).
        """
        now = self._version_of_weight()
        if now is None or self._bound is None or self._bound[0] != now:
            couplings = self.matrix() + self.matrix().t()
            square = couplings @ couplings
            size, norm = couplings.abs().sum(0), (square @ square).norm().sqrt().sqrt()
            self._bound = (now, torch.where(norm < size.mean(), norm, size))
        return self._bound[1].view(shape)

    @torch.no_grad()
    def project_(self) -> None:
        """Put the diagonal and the lower triangle to 0."""
        self.weight.triu_(1)
