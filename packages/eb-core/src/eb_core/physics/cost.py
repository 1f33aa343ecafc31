"""The cost of a read-out, C(r, y), one value per sample; the nudge adds beta * C to the energy."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor

from eb_core.physics.energy import Energy
from eb_core.registry.setup import Diagnostic, Setup


class Cost(ABC):
    """A cost on the read-out. It encodes labels into the read-out's range; the energy never sees a label.

    Shapes: readout and target are (B, outputs), labels (B,) int64.
    """

    curvature: float
    """Largest second derivative of C along any direction of the read-out; keeps nudged steps monotone."""

    def outputs(self, classes: int) -> int:
        """Number of output units for so many classes."""
        return classes

    def encode(self, labels: Tensor, classes: int, energy: Energy, dtype: torch.dtype) -> Tensor:
        """Targets: one-hot labels in the two values of `energy.readout_range`."""
        off, on = energy.readout_range
        target = torch.full((len(labels), classes), off, dtype=dtype, device=labels.device)
        return target.scatter_(1, labels.unsqueeze(1), on)

    @abstractmethod
    def value(self, readout: Tensor, target: Tensor) -> Tensor:
        """C of each sample, (B,), differentiable."""

    @abstractmethod
    def derivative(self, readout: Tensor, target: Tensor) -> Tensor:
        """dC/dr, (B, outputs)."""

    def quadratic(self, target: Tensor) -> tuple[float, Tensor] | None:
        """(a, b) with C = 1/2 a |r|^2 - <b, r> + const, or None when C is not quadratic."""
        return None

    def predict(self, readout: Tensor) -> Tensor:
        """Predicted classes, (B,): the largest read-out."""
        return readout.argmax(dim=1)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """What this cost has to say of what it is to work with; see `Setup`."""
        return ()
