"""The nudge adds beta * C(readout, y) to the energy; a clamp replaces units by given values."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from eb_core.physics.cost import Cost

Quadratic = tuple[Tensor, Tensor]
"""(a, b): the term 1/2 a r^2 - b r in the read-out r, (B, 1) and (B, outputs)."""


@attrs.frozen(eq=False)
class Nudge:
    """beta * C(r, y) on the output layer.

    Args:
        target: (B, outputs), what `Cost.encode` made of the labels.
        beta: strength for each sample, (B,), so that +beta and -beta run as one batch.
    """

    cost: Cost
    target: Tensor
    beta: Tensor
    _strength: Tensor = attrs.field(init=False)
    _closed: list[Quadratic | None] = attrs.field(factory=list, init=False)

    @_strength.default
    def _column(self) -> Tensor:
        return self.beta.unsqueeze(1)

    def slope(self, readout: Tensor) -> Tensor:
        """beta * dC/dr, (B, outputs)."""
        return self._strength * self.cost.derivative(readout, self.target)

    def closed(self) -> Quadratic | None:
        """(a, b) with 1/2 a r^2 - b r = beta C up to a constant, whatever the read-out; None if C is not quadratic."""
        if not self._closed:
            closed = self.cost.quadratic(self.target)
            self._closed.append(closed and (self._strength * closed[0], self._strength * closed[1]))
        return self._closed[0]

    def curvature(self) -> Tensor:
        """a >= that of beta C at any read-out, (B, 1): exact for a quadratic cost, of any other a bound >= 0.

        With b = a r - slope at the read-out r, 1/2 a r^2 - b r majorises beta C there: a step to the minimum with it
        never increases F.
        """
        closed = self.closed()
        return self._strength.clamp(min=0) * self.cost.curvature if closed is None else closed[0]

    @staticmethod
    def stack(nudges: Sequence["Nudge"]) -> "Nudge":
        """Nudges of several batches one after the other."""
        targets, betas = ([getattr(nudge, name) for nudge in nudges] for name in ("target", "beta"))
        return Nudge(nudges[0].cost, torch.cat(targets), torch.cat(betas))

    def select(self, rows: Tensor) -> "Nudge":
        """The nudge of the samples at `rows`."""
        return Nudge(self.cost, self.target[rows], self.beta[rows])


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
