"""Cross-entropy of a softmax on the read-out: C = log sum_k exp(r_k / T) - r_y / T."""

from collections.abc import Iterable

import torch
from torch import Tensor

from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry import configurable, option
from eb_core.registry.setup import Diagnostic, Setup, refuse


@configurable
class CrossEntropy(Cost):
    """C = log sum_k exp(r_k / T) - sum_k y_k r_k / T with one-hot y: not quadratic, so the nudge is linearised.

    The softmax belongs to the cost, not to the units: r is a linear or boxed read-out, T its temperature.
    """

    temperature: float = option(
        default=1.0, help="read-out scale of the softmax", unit="units of the read-out", ge=1e-15, le=1e15
    )

    @property
    def curvature(self) -> float:  # type: ignore[override]
        return 0.5 / self.temperature**2  # diag(p) - pp' has no eigenvalue above 1/2

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if setup.energy is not None and not setup.energy.differentiable:
            yield refuse(
                "its nudge is majorised at the current read-out, which holds spins where they are: use squared-error"
            )

    def encode(self, labels: Tensor, classes: int, energy: Energy, dtype: torch.dtype) -> Tensor:
        return torch.nn.functional.one_hot(labels, classes).to(dtype)

    def value(self, readout: Tensor, target: Tensor) -> Tensor:
        scores = readout / self.temperature
        return torch.logsumexp(scores, dim=1) - (target * scores).sum(dim=1)

    def derivative(self, readout: Tensor, target: Tensor) -> Tensor:
        return (torch.softmax(readout / self.temperature, dim=1) - target) / self.temperature
