"""The motion in plain operations: every energy, edge, cost and clamp; differentiable.

    y <- mu y + dt f;  x <- P(x + dt y);  y <- 0 where P moved it         f = -dF/dx

f is divided by 1 + a / c, c the curvature of a unit and a what is added to it: by edges with self-terms, by a closed
nudge, and in sequential updates by lateral edges, which a block update majorises. The step then suits the curvature:
without momentum x goes the same share of the way to its minimum. Where units have no curvature of their own, f is
divided by a.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core import Workspace
from eb_dynamics_csb.pace import Pace
from eb_dynamics_csb.stability import unit_of


class PlainMotion:
    """cSB iterations of one workspace at one pace."""

    def __init__(
        self,
        work: Workspace,
        order: Sequence[str],
        pace: Pace,
        *,
        noise: float,
        closed: bool,
        parallel: bool,
        curvature: float,
    ) -> None:
        self._work, self._order, self._pace = work, order, pace
        self._noise, self._closed, self._parallel, self._curvature = noise, closed, parallel, curvature

    def run(self, count: int) -> None:
        """So many iterations."""
        for _ in range(count):
            if self._parallel:
                for name, force in [(name, self._force(name)) for name in self._order]:
                    self._move(name, force)
            else:
                for name in self._order:
                    self._move(name, self._force(name))

    def _force(self, name: str) -> Tensor:
        """-dF/dx of a layer, with noise in its field and the nudge as the option says."""
        work = self._work
        field = work.field(name)
        if self._noise:
            field = field + self._noise * work.normal(name)
        force = work.force(name, field)
        bend = added_curvature(work, name, closed=self._closed, block=not self._parallel)
        if bend is None:
            return force
        whole = self._curvature + bend
        return torch.where(whole > 0, force * unit_of(self._curvature) / whole, 0.0)

    def _move(self, name: str, force: Tensor) -> None:
        """y and x of one layer, then its walls."""
        work = self._work
        s, domain = work.units[name], work.energy.domain(work.layers[name])
        h, mu, dt = (_over(s, value) for value in (self._pace.h, self._pace.mu, self._pace.dt))
        if not self._pace.kept:
            work.write(name, domain.project(torch.addcmul(s, force, h) if isinstance(h, Tensor) else s + h * force))
            return
        old = work.memory.get(momentum(name))
        y = dt * force if old is None else mu * old + dt * force
        moved = s + dt * y
        inside = domain.project(moved)
        y = torch.where(inside == moved, y, 0.0)
        clamp = work.problem.clamps.get(name)
        if clamp is not None and clamp.mask is not None:
            y = y.masked_fill(clamp.mask, 0.0)
        work.remember(momentum(name), y)
        work.write(name, inside)


def momentum(layer: str) -> str:
    """Name of a layer's y in the memory of a state."""
    return f"momentum.{layer}"


def added_curvature(work: Workspace, name: str, *, closed: bool, block: bool) -> Tensor | None:
    """a of a layer, (B or 1, *shape or 1s): of self-terms, a closed nudge, lateral edges in block updates; or None."""
    terms = work.terms
    bends = [(terms.curvatures if closed else terms.self_terms).get(name), terms.majorants.get(name) if block else None]
    total = [bend.amax(0) for bend in bends if bend is not None]
    return sum(total[1:], total[0]) if total else None


def _over(s: Tensor, value: float | Tensor) -> float | Tensor:
    return value.view(-1, *[1] * (s.ndim - 1)) if isinstance(value, Tensor) else value
