"""The nudge adds beta * C(readout, y) to the energy; a clamp replaces units by given values."""

from collections.abc import Sequence

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
    _closed: list[Quadratic] = attrs.field(factory=list, init=False)

    def check(self, energy: Energy) -> None:
        """Refuse a beta for which F has no minimum: the output curvature must stay positive."""
        slope, beta = self.cost.quadratic(self.target), self.beta
        if slope is None or (isinstance(beta, Tensor) and beta.device.type != "cpu"):
            return
        lowest = float(beta.min()) if isinstance(beta, Tensor) else beta
        curvature = energy.output_curvature + lowest * slope[0]
        if curvature <= 0:
            raise UsageError(
                f"beta = {lowest:g} leaves the output curvature {curvature:g}: F has no minimum",
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
        if self._closed:
            return self._closed[0]
        closed = self.cost.quadratic(self.target)
        beta = self.strength
        if closed is not None:
            self._closed.append((beta * closed[0], beta * closed[1]))
            return self._closed[0]
        a = (beta.clamp(min=0) if isinstance(beta, Tensor) else max(beta, 0.0)) * self.cost.curvature
        return a, a * readout - self.slope(readout)

    @staticmethod
    def stack(nudges: Sequence["Nudge"]) -> "Nudge":
        """Nudges of several batches one after the other; each sample keeps its own beta."""
        first = nudges[0]
        betas = [
            nudge.beta if isinstance(nudge.beta, Tensor) else nudge.target.new_full((len(nudge.target),), nudge.beta)
            for nudge in nudges
        ]
        return Nudge(first.cost, torch.cat([nudge.target for nudge in nudges]), torch.cat(betas))

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

    @staticmethod
    def stack(clamps: Sequence["Clamp"]) -> "Clamp":
        """Clamps of several batches one after the other; their masks are one for all samples, or one for each."""
        masks = [clamp.mask for clamp in clamps if clamp.mask is not None]
        values = torch.cat([clamp.values for clamp in clamps])
        if not masks:
            return Clamp(values)
        return Clamp(values, masks[0] if len(masks[0]) == 1 else torch.cat(masks))

    def select(self, rows: Tensor) -> "Clamp":
        """The clamp of the samples at `rows`."""
        whole = self.mask is None or len(self.mask) == 1
        return Clamp(self.values[rows], self.mask if whole or self.mask is None else self.mask[rows])
