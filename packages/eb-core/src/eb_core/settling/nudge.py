"""The nudge adds beta * C(readout, y) to the energy; a clamp replaces units by given values."""

import attrs
import torch
from torch import Tensor

from eb_core.registry import UsageError
from eb_core.things.cost import Cost
from eb_core.things.energy import Energy, Quadratic


@attrs.frozen(eq=False)
class Nudge:
    """beta * C(r, y) on the output layer.

    Args:
        target: (B, outputs), what `Cost.encode` made of the labels.
        beta: one strength for all samples, or (B,) one each, so that +beta and -beta run as one batch.
    """

    cost: Cost
    target: Tensor
    beta: float | Tensor

    def check(self, energy: Energy) -> None:
        """Refuse a beta for which F has no minimum: the output curvature must stay positive."""
        slope = self.cost.quadratic(self.target)
        if slope is None or isinstance(self.beta, Tensor):
            return
        curvature = energy.output_curvature + self.beta * slope[0]
        if curvature <= 0:
            raise UsageError(
                f"beta = {self.beta:g} leaves the output curvature {curvature:g}: F has no minimum",
                advice=f"keep beta above {-energy.output_curvature / slope[0]:g}",
            )

    @property
    def strength(self) -> float | Tensor:
        """beta, ready to multiply a (B, outputs) tensor."""
        return self.beta.unsqueeze(1) if isinstance(self.beta, Tensor) else self.beta

    def slope(self, readout: Tensor) -> Tensor:
        """beta * dC/dr."""
        return self.strength * self.cost.derivative(readout, self.target)

    def quadratic(self, readout: Tensor, iterated: bool = False) -> Quadratic:
        """(a, b) such that 1/2 a r^2 - b r stands for the nudge.

        Exact for a quadratic cost. Any other is majorised at the current read-out: its derivative plus, for
        beta > 0, its largest curvature, so that a minimising step never increases F. `iterated` gives the bare
        derivative, b = -beta * dC/dr at the current read-out: EBL's update, same fixed point, other path.
        """
        if iterated:
            return 0.0, -self.slope(readout)
        closed = self.cost.quadratic(self.target)
        beta = self.strength
        if closed is not None:
            return beta * closed[0], beta * closed[1]
        a = (beta.clamp(min=0) if isinstance(beta, Tensor) else max(beta, 0.0)) * self.cost.curvature
        return a, a * readout - self.slope(readout)

    def select(self, rows: Tensor) -> "Nudge":
        """The nudge of the samples at `rows`."""
        beta = self.beta[rows] if isinstance(self.beta, Tensor) else self.beta
        return Nudge(self.cost, self.target[rows], beta)


@attrs.frozen(eq=False)
class Clamp:
    """Values that replace the units of a layer, wholly or (associative memory) where `mask` is true.

    Args:
        values: (B, *layer shape).
        mask: bool, broadcastable to (B, *layer shape) with a leading batch axis; None clamps all units.
    """

    values: Tensor
    mask: Tensor | None = None

    def apply(self, s: Tensor) -> Tensor:
        """`s` with the clamped units replaced."""
        return self.values if self.mask is None else torch.where(self.mask, self.values, s)

    def select(self, rows: Tensor) -> "Clamp":
        """The clamp of the samples at `rows`."""
        whole = self.mask is None or len(self.mask) == 1
        return Clamp(self.values[rows], self.mask if whole or self.mask is None else self.mask[rows])
