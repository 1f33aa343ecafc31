"""Squared error: C = 1/2 sum_k (r_k - y_k)^2."""

import torch
from torch import Tensor

from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry import configurable, option


@configurable
class SquaredError(Cost):
    """C = 1/2 sum_k (r_k - y_k)^2, the papers' cost; quadratic, so the nudge has a closed form.

    With `copies` > 1 each class has several output units, and the class with the largest mean wins.
    """

    copies: int = option(default=1, help="output units for each class", ge=1)

    curvature = 1.0

    def outputs(self, classes: int) -> int:
        return classes * self.copies

    def encode(self, labels: Tensor, classes: int, energy: Energy, dtype: torch.dtype) -> Tensor:
        target = Cost.encode(self, labels, classes, energy, dtype)
        return target if self.copies == 1 else target.repeat_interleave(self.copies, dim=1)

    def value(self, readout: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (readout - target).square().sum(dim=1)

    def derivative(self, readout: Tensor, target: Tensor) -> Tensor:
        return readout - target

    def quadratic(self, target: Tensor) -> tuple[float, Tensor]:
        return 1.0, target

    def predict(self, readout: Tensor) -> Tensor:
        return readout.view(len(readout), -1, self.copies).mean(dim=2).argmax(dim=1)
