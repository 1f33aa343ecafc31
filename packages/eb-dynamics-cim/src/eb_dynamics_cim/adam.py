"""Ground state by Adam on the whole force: all layers at once, with a cosine schedule over the phase's budget T.

    g = dF/ds ;  m <- beta1 m + (1 - beta1) g ;  v <- beta2 v + (1 - beta2) g^2
    s <- P(s - lr_t mhat / (sqrt(vhat) + eps)),   mhat = m / (1 - beta1^(t+1)),  vhat = v / (1 - beta2^(t+1))
    lr_t = lr / 2 (1 + cos(pi t / T)),   t = 0 .. T - 1 the iterations taken

Kingma and Ba, arXiv 1412.6980, algorithm 1, with walls. A fixed point of it is a stationary point of F, whatever the
moments. They start at 0 in each phase: with Adam's usual 0.9 and 0.999 and moments from the free phase, the first
nudged steps would be lr sign(g) whatever beta. While forces are small the step is (lr / eps) g: six times the force
with the lr of a free phase, so that a small nudge would at first grow and, where a net has several minima, leave the
basin of the free state. Hence the smaller lr of nudged phases. A sample that settles early stops; the schedule of
the others is a function of t and T alone, so nobody's steps depend on who has stopped. After T iterations lr_t stays 0.
"""

from collections.abc import Iterable
from math import pi

import torch

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
from eb_core.settling.problem import Phase

_LEAST = 1e-30
"""Below it the root of the second moment is not followed by autograd: its slope at 0 is infinite."""


@configurable
class Adam(IterativeRelaxer):
    """s <- P(s - lr_t mhat / (sqrt(vhat) + eps)), g the whole force; for units that live in a box or on a line."""

    steps: int = option(
        default=20, help="iterations of the free phase, and length T of its schedule", unit="iterations", ge=1
    )
    nudged_steps: int = option(
        default=15,
        help="iterations of a nudged or clamped phase, and length T of its schedule",
        unit="iterations",
        ge=1,
    )
    tol: float = option(
        default=0.0,
        help="a sample stops once max|P(s - dF/ds) - s| is at most this; 0: every phase runs all its iterations",
        unit="units of the state",
        ge=0,
    )
    lr: float = option(default=0.3, help="step length at the start of a free phase", unit="units of the state", gt=0)
    nudged_lr: float | None = option(
        default=None,
        help="the same of a nudged or clamped phase; none: eps, at most lr, so that a small nudge is answered by steps"
        " as long as the force",
        unit="units of the state",
        gt=0,
        phases=("nudged", "clamped"),
    )
    beta1: float = option(default=0.5, help="decay of the first moment per iteration", ge=0, lt=1)
    beta2: float = option(default=0.9, help="decay of the second moment per iteration", ge=0, lt=1)
    eps: float = option(
        default=0.05,
        help="added to the root of the second moment; forces well below it are followed in proportion",
        unit="units of the force",
        gt=0,
    )

    def properties(self) -> Properties:
        return Properties(resumable=False)

    def init(self, view: View, resumed: bool) -> None:
        super().init(view, resumed)
        view.remember("taken", view.like.new_zeros(view.batch))
        for name in view.layers:
            view.remember(f"first.{name}", torch.zeros_like(view.units[name]))
            view.remember(f"second.{name}", torch.zeros_like(view.units[name]))

    def step(self, view: View) -> None:
        taken = view.memory["taken"]
        share = (taken / self.budget(view.phase)).clamp(max=1)
        rate = 0.5 * self._lr(view.phase) * (1 + torch.cos(pi * share)) / (1 - self.beta1 ** (taken + 1))
        second = (1 - self.beta2 ** (taken + 1)) ** -0.5
        new = {}
        for name in view.layers:
            s, force = view.units[name], view.force(name)
            m = torch.lerp(-force, view.memory[f"first.{name}"], self.beta1)
            v = torch.lerp(force.square(), view.memory[f"second.{name}"], self.beta2)
            view.remember(f"first.{name}", m)
            view.remember(f"second.{name}", v)
            size = view.spread(second, s) * v.clamp(min=_LEAST).sqrt() + self.eps
            new[name] = view.project(name, torch.addcdiv(s, view.spread(rate, s) * m, size, value=-1))
        view.remember("taken", taken + 1)
        for name, value in new.items():
            view.write(name, value)

    def finish(self, problem: Problem, state: State) -> State:
        return State(state.units)

    def _lr(self, phase: Phase) -> float:
        if phase == "free":
            return self.lr
        return min(self.lr, self.eps) if self.nudged_lr is None else self.nudged_lr

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if setup.energy is not None and any(isinstance(setup.energy.domain(layer), Circle) for layer in KINDS):
            yield refuse(
                "its units are phases: steps of up to lr radians cross from one basin to the next, so that a nudged"
                " state would not belong to the free one; use a relaxer made for phases"
            )
