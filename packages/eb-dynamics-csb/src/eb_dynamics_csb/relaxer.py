"""Continuous simulated bifurcation (cSB): a damped heavy ball with walls that stop it.

    y <- (1 - gamma dt) y + dt (g - x)      g the local field; on the output also beta (t - x)
    x <- x + dt y;  a boxed unit that leaves its box is put on the wall and its y becomes 0

Position and conjugate momentum as the text of arXiv 2606.09112 has them: the pump dropped, activation and walls in
place of the Kerr term, damping added. g - x is -dE/dx, so every energy whose units live in a box or on the line will
do. The free phase starts at x = y = 0, and its momentum goes with the state into the nudged phases. gamma dt = 1 is
`gradient-flow` with step dt^2; dt = gamma = 1 is `hopfield-sync` or, layer after layer, `hopfield`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import attrs
import torch
from torch import Tensor

from eb_core import (
    Circle,
    Energy,
    IterativeRelaxer,
    Network,
    Problem,
    Relaxation,
    State,
    Workspace,
    configurable,
    option,
)
from eb_core.physics.energy import KINDS
from eb_dynamics_csb.averaging import averaged, mean
from eb_dynamics_csb.limits import check_nudge, check_options, notice
from eb_dynamics_csb.pace import AGE, SIGMA, Pace, fixed, forget, longest
from eb_dynamics_csb.plain import momentum
from eb_dynamics_csb.plan import Plan
from eb_dynamics_csb.stability import Update, unit_curvature

DAMPING = 0.7
"""gamma of parallel updates where dt is given alone."""


@configurable
class CSB(IterativeRelaxer):
    """Damped inertial dynamics with walls, for energies of boxed or unbounded units."""

    update: Update = option(
        default="sequential", help="layer after layer, each reading fresh neighbours, or all layers from the old state"
    )
    dt: float | None = option(
        default=None,
        help="step; dt^2 is the step on the force. None: chosen for each sample from the coupling of its moving units",
        unit="time constants",
        gt=0,
    )
    gamma: float | None = option(
        default=None,
        help="damping; an iteration keeps 1 - gamma dt of the momentum. None: 1 / dt sequential (nothing is kept), 0.7"
        " parallel; chosen, if dt is",
        unit="1 / time constant",
        gt=0,
    )
    order: Literal["colour", "forward"] = option(
        default="colour",
        help="of sequential updates: colour by colour (odd layers, then even ones, on a chain), or from layer 1 on",
        only_with={"update": ("sequential",)},
    )
    nudge: Literal["closed", "iterated"] = option(
        default="closed",
        help="the nudge's force beta (t - x) as it is (iterated, as in the paper), or the whole force on the output"
        " divided by 1 + beta, so that the step suits its larger curvature (closed)",
        phases=("nudged",),
    )
    noise: float = option(
        default=0.0,
        help="standard deviation of the noise on every local field, drawn anew at every update of a layer",
        unit="units of the field",
        ge=0,
    )
    average: int = option(
        default=1,
        help="hand back the mean of so many last states; above 1 the whole budget is always run",
        unit="iterations",
        ge=1,
    )

    def __attrs_post_init__(self) -> None:
        if self.dt is not None:
            check_options(self.dt, self._gamma(self.dt))
        elif self.gamma is not None:
            raise ValueError("gamma is given and dt is not: give both, or neither and both are chosen")
        if self.average > min(self.steps, self.nudged_steps):
            raise ValueError(f"average = {self.average} is more than steps or nudged_steps")

    def _gamma(self, dt: float) -> float:
        if self.gamma is not None:
            return self.gamma
        return 1 / dt if self.update == "sequential" else DAMPING

    def _given(self) -> Pace | None:
        return None if self.dt is None else fixed(self.dt, self._gamma(self.dt))

    @property
    def monotone(self) -> bool:  # type: ignore[override]
        """Sequential steps below 2 without momentum, noise and averages are over-relaxed descent: F never rises."""
        given = self._given()
        calm = self.noise == 0 and self.average == 1 and self.nudge == "closed"
        return self.update == "sequential" and calm and (given is None or not given.kept)

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """All layers move at once from the old state."""
        return self.update == "parallel"

    def why_not(self, energy: Energy) -> str | None:
        if any(isinstance(energy.domain(layer), Circle) for layer in KINDS):
            return "its walls stop a unit at the ends of an interval, and an angle has no ends"
        return None

    def notices(self, network: Network, energy: Energy) -> Sequence[str]:
        given = self._given()
        found = notice(network, energy, self.update, given) if given else None
        return (found,) if found else ()

    def relax(
        self,
        problem: Problem,
        start: State | None = None,
        *,
        generator: torch.Generator | None = None,
        trace: bool = False,
    ) -> Relaxation:
        self._check(problem)
        if start is not None and problem.phase == "free":
            start = forget(start, SIGMA, AGE)
        if self.average == 1:
            ended = super().relax(problem, start, generator=generator, trace=trace)
        else:
            work = Workspace(problem, problem.initial_state() if start is None else start, generator)
            ended = averaged(self, work, self.budget(problem), self.average, self._tolerance(problem), trace)
        return attrs.evolve(ended, state=forget(ended.state, AGE))

    def iterate(self, problem: Problem, state: State, steps: int, *, generator: torch.Generator | None = None) -> State:
        self._check(problem)
        work = Workspace(problem, state, generator)
        last: list[Mapping[str, Tensor]] = []
        for step in range(steps):
            self.sweep(work)
            if steps - step <= self.average:
                last.append(dict(work.units))
        return mean(last, work) if len(last) > 1 else work.state()

    def _check(self, problem: Problem) -> None:
        if self.nudge == "iterated" and problem.nudge is not None:
            curvature = unit_curvature(problem.energy)
            pace = self._given() or longest(self.update, curvature)
            check_nudge(problem, pace, curvature, "chosen" if self.dt is None else f"{self.dt:.4g}")

    def unrest(self, work: Workspace) -> Tensor:
        """The residual or max |y| of each sample, whichever is larger: a sample that still moves has not settled."""
        momenta = [work.memory[name] for name in map(momentum, work.layers) if name in work.memory]
        return torch.stack([work.residual(), *(y.abs().flatten(1).amax(1) for y in momenta)]).amax(0)

    def sweep(self, work: Workspace) -> None:
        self._plan(work, fast=False).run(1)

    def sweeps(self, work: Workspace, count: int) -> None:
        self._plan(work, fast=True).run(count)

    def _plan(self, work: Workspace, fast: bool) -> Plan:
        if work.plan is None:
            closed = self.nudge == "closed"
            work.plan = Plan(
                work, self._given(), update=self.update, order=self.order, noise=self.noise, closed=closed, fast=fast
            )
        plan: Plan = work.plan
        return plan
