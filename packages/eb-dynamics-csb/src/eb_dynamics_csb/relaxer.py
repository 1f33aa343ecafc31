"""Continuous simulated bifurcation (cSB): a damped heavy ball with walls that stop it.

    y <- (1 - gamma dt) y + dt (g - x)      g the local field; on the output also beta (t - x)
    x <- x + dt y;  a boxed unit that leaves its box is put on the wall and its y becomes 0

Position and conjugate momentum as the text of arXiv 2606.09112 has them: the pump dropped, activation and walls in
place of the Kerr term, damping added. g - x is -dE/dx, so every energy whose units live in a box or on the line will
do. The free phase starts at x = y = 0, and its momentum goes with the state into the nudged phases. gamma dt = 1 is
`gradient-flow` with step dt^2; dt = gamma = 1 is `hopfield-sync` or, layer after layer, `hopfield`.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor

from eb_core import (
    Circle,
    Diagnostic,
    IterativeRelaxer,
    Problem,
    Properties,
    Setup,
    State,
    View,
    configurable,
    option,
    refuse,
)
from eb_core.physics.energy import KINDS
from eb_dynamics_csb import pace
from eb_dynamics_csb.averaging import add_up, close
from eb_dynamics_csb.limits import check_nudge, check_options, pace_notices
from eb_dynamics_csb.pace import Pace, fixed
from eb_dynamics_csb.stability import Update

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
    def _keeps_momentum(self) -> bool:
        given = self._given()
        return self.update == "parallel" if given is None else given.kept

    def properties(self) -> Properties:
        """Sequential steps below 2 without momentum, noise and averages are over-relaxed descent: F never rises.

        In parallel updates all layers move at once from the old state.
        """
        sequential = self.update == "sequential"
        calm = self.noise == 0 and self.average == 1 and self.nudge == "closed" and not self._keeps_momentum
        return Properties(descends=sequential and calm, symmetric_response=not sequential)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        energy, network, given = setup.energy, setup.network, self._given()
        if energy is None:
            return
        if any(isinstance(energy.domain(layer), Circle) for layer in KINDS):
            yield refuse("its walls stop a unit at the ends of an interval, and an angle has no ends")
        elif given and network is not None and setup.with_notices:
            yield from pace_notices(network, energy, self.update, given)

    def init(self, view: View, resumed: bool) -> None:
        """Momentum survives; so does sigma, but into a free phase."""
        given = self._given()
        if self.nudge == "iterated" and view.problem.nudge is not None:
            longest = given or pace.longest(self.update, view.stiffness)
            check_nudge(view.problem, longest, view.stiffness, "chosen" if self.dt is None else f"{self.dt:.4g}")
        before = dict(view.memory)
        view.memory.clear()
        if given is None:
            pace.begin(view, before if resumed or view.problem.phase != "free" else {}, self.update)
        if self._keeps_momentum:
            for name in view.layers:
                y = before.get(f"momentum.{name}")
                view.remember(f"momentum.{name}", torch.zeros_like(view.units[name]) if y is None else y)

    def step(self, view: View) -> None:
        if self.update == "sequential":
            for name in view.order(self.order):
                self._put(view, name, *self._next(view, name))
        else:
            for name, new in [(name, self._next(view, name)) for name in view.layers]:
                self._put(view, name, *new)

    def _next(self, view: View, name: str) -> tuple[Tensor, Tensor | None]:
        """x and y of a layer after this iteration."""
        x, now = view.units[name], pace.of(view, self._given())
        how = {"iterated_nudge": self.nudge == "iterated", "majorised": self.update == "sequential"}
        field = torch.add(view.field(name), view.normal(name), alpha=self.noise) if self.noise else None
        if not self._keeps_momentum:
            return view.project(name, view.towards(name, now.h, field, **how)), None
        pull, y = view.pull(name, field, **how), view.memory[f"momentum.{name}"]
        y = _plus(view.spread(now.mu, x) * y, view.spread(now.dt, x), pull)
        moved = _plus(x, view.spread(now.dt, x), y)
        inside = view.project(name, moved)
        return inside, y if inside is moved else y * _where_equal(inside, moved)

    def _put(self, view: View, name: str, x: Tensor, y: Tensor | None) -> None:
        if y is not None:
            view.remember(f"momentum.{name}", y)
        view.write(name, x)

    def measure(self, view: View) -> Tensor:
        """The residual or max |y| of each sample, whichever is larger: a sample that still moves has not settled."""
        momenta = [view.memory[f"momentum.{name}"] for name in view.layers] if self._keeps_momentum else []
        if self.average > 1:
            momenta = []
        return torch.stack([view.residual(), *(y.abs().flatten(1).amax(1) for y in momenta)]).amax(0)

    def looks(self, budget: int) -> int:
        return self.check_every if self.average == 1 else budget

    def pauses(self, view: View, budget: int) -> Sequence[int]:
        last = range(max(1, budget + 1 - self.average), budget + 1) if self.average > 1 else ()
        return sorted({*pace.pauses(view, budget), *last})

    def pause(self, view: View, taken: int, left: int) -> None:
        pace.pause(view, taken, left, self.update)
        if self.average > 1 and left < self.average:
            add_up(view)
            if not left:
                close(view, min(self.average, taken))

    def finish(self, problem: Problem, state: State) -> State:
        return State(state.units, {name: value for name, value in state.memory.items() if name not in pace.CHOSEN})


def _plus(value: Tensor, step: float | Tensor, other: Tensor) -> Tensor:
    """value + step * other."""
    return torch.addcmul(value, step, other) if isinstance(step, Tensor) else torch.add(value, other, alpha=step)


def _where_equal(a: Tensor, b: Tensor) -> Tensor:
    """1 where a = b and 0 elsewhere, as numbers: several times faster than as truth values."""
    with torch.no_grad():
        return torch.eq(a, b, out=torch.empty_like(a))
