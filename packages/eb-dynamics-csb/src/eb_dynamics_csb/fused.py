"""The same motion in as few kernels as it needs: dense edges, units with self-energy s^2 / 2, no autograd.

    T = (b_l + W x + sum_e W_e u_e + beta t) / (1 + beta)        where layer l would rest if its neighbours stayed
    v <- mu v + h (T - x);  x <- x + v;  outside the box: x on the wall, v = 0          v = dt y, h = dt^2

On the output h is dt^2 with the closed nudge and dt^2 (1 + beta) with the iterated one. What does not change while
settling is folded into one constant per layer. Without momentum a layer costs its products, one interpolation and one
clip. The buffers are (units, B): products of a wide and a narrow layer are then faster than on (B, units).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core import Box, Dense, Energy, Line, SquaredError, Workspace
from eb_core.settling.workspace import records_or_rounds
from eb_dynamics_csb.pace import Pace


class FusedMotion:
    """cSB iterations of one workspace at one pace; `of` says whether they can be had."""

    def __init__(
        self, work: Workspace, order: Sequence[str], pace: Pace, noise: float, closed: bool, parallel: bool
    ) -> None:
        self._work, self._parallel = work, parallel
        work.buffered = True
        states = {name: value.t().clone(memory_format=torch.contiguous_format) for name, value in work.units.items()}
        self._parts = [_Part(work, name, states, pace, noise, closed) for name in order]

    @staticmethod
    def of(
        work: Workspace, order: Sequence[str], pace: Pace, noise: float, closed: bool, parallel: bool
    ) -> "FusedMotion | None":
        """The fused motion, or None where the plain one must serve: other energies, edges, costs, clamps, autograd."""
        nudge = work.problem.nudge
        plain = (
            records_or_rounds(work)
            or not _is_quadratic(work)
            or (nudge is not None and type(nudge.cost) is not SquaredError)
            or any(type(work.energy.domain(layer)) not in (Box, Line) for layer in work.layers.values())
            or any(clamp.mask is not None for clamp in work.problem.clamps.values())
            or any(len(layer.shape) != 1 for layer in work.problem.network.unit_layers)
            or any(type(edge) is not Dense for edge in work.problem.network.wires)
        )
        return None if plain else FusedMotion(work, order, pace, noise, closed, parallel)

    def run(self, count: int) -> None:
        """So many iterations; the workspace then holds the new states, and frozen samples theirs."""
        active = self._work.active
        kept = [] if active is None else [part.copy() for part in self._parts]
        for _ in range(count):
            if self._parallel:
                for part in self._parts:
                    part.aim()
                for part in self._parts:
                    part.go()
            else:
                for part in self._parts:
                    part.aim()
                    part.go()
        for index, part in enumerate(self._parts):
            if active is not None:
                part.restore(active, kept[index])
            self._work.write(part.name, part.x.t())
            if part.v is not None:
                self._work.remember(f"momentum.{part.name}", (part.v / part.dt).t())


class _Part:
    """One layer: where it aims at, and its step towards it; x and v are (units, B)."""

    def __init__(
        self, work: Workspace, name: str, states: dict[str, Tensor], pace: Pace, noise: float, closed: bool
    ) -> None:
        network, nudge = work.problem.network, work.problem.nudge
        self.name, self.x, self.dt = name, states[name], pace.dt
        self._work, self._noise, self._mu = work, noise, pace.mu
        self._terms: list[tuple[Tensor, Tensor]] = [(edge.weight, states[edge.pre]) for edge in network.incoming(name)]
        self._terms += [(edge.weight.t(), states[edge.post]) for edge in network.outgoing(name)]
        constant, self._step = work.constant_field(name).t(), pace.h
        self._scale: Tensor | None = None
        if nudge is not None and name == network.output:
            constant = constant + nudge.beta * nudge.target.t()
            self._scale = 1 / (1 + nudge.beta)
            self._step = pace.h if closed else pace.h * (1 + nudge.beta)
        self._constant = constant.contiguous()
        domain = work.energy.domain(work.layers[name])
        self._walls = (domain.lower, domain.upper) if isinstance(domain, Box) else None
        self._aim = torch.empty_like(self.x)
        self._moved = torch.empty_like(self.x) if pace.kept and self._walls else self.x
        self.v: Tensor | None = None
        if pace.kept:
            y = work.memory.get(f"momentum.{name}")
            self.v = torch.zeros_like(self.x) if y is None else y.t() * pace.dt

    def aim(self) -> None:
        """T from the current neighbours."""
        aim = self._aim
        for index, (matrix, u) in enumerate(self._terms):
            torch.addmm(aim if index else self._constant, matrix, u, out=aim)
        if not self._terms:
            aim.copy_(self._constant)
        if self._noise:
            aim.add_(self._work.normal(self.name).t(), alpha=self._noise)
        if self._scale is not None:
            aim.mul_(self._scale)

    def go(self) -> None:
        """One step towards T, and the walls."""
        if self.v is None:
            self.x.lerp_(self._aim, self._step)
            if self._walls:
                self.x.clamp_(*self._walls)
            return
        pull = self._aim.sub_(self.x)
        self.v.mul_(self._mu)
        if isinstance(self._step, Tensor):
            self.v.addcmul_(pull, self._step)
        else:
            self.v.add_(pull, alpha=self._step)
        torch.add(self.x, self.v, out=self._moved)
        if self._walls:
            torch.clamp(self._moved, *self._walls, out=self.x)
            self.v.mul_(self._moved == self.x)

    def copy(self) -> tuple[Tensor, Tensor | None]:
        """x and v, to be restored for samples that rest."""
        return self.x.clone(), None if self.v is None else self.v.clone()

    def restore(self, active: Tensor, kept: tuple[Tensor, Tensor | None]) -> None:
        """Put the samples that are not active back to where they were."""
        x, v = kept
        self.x.copy_(torch.where(active, self.x, x))
        if self.v is not None and v is not None:
            self.v.copy_(torch.where(active, self.v, v))


def _is_quadratic(work: Workspace) -> bool:
    """Units that are their own code with self-energy s^2 / 2: the derivative of that is the unit itself."""
    kind = type(work.energy)
    if (kind.encode, kind.encode_vjp, kind.force) != (Energy.encode, Energy.encode_vjp, Energy.force):
        return False
    layers = work.layers.items()
    return all(work.energy.self_derivative(layer, work.units[name]) is work.units[name] for name, layer in layers)
