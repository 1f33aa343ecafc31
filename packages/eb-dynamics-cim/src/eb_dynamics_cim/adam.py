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

from math import pi
from typing import ClassVar

import torch
from torch import Tensor

from eb_core import Circle, Energy, Problem, Workspace, configurable, option
from eb_core.physics.energy import KINDS
from eb_dynamics_cim.within_phase import WithinPhase

_TAKEN, _FIRST, _SECOND = "adam.iterations", "adam.first.", "adam.second."
_LEAST = 1e-30
"""Below it the root of the second moment is not followed by autograd: its slope at 0 is infinite."""


@configurable
class Adam(WithinPhase):
    """s <- P(s - lr_t mhat / (sqrt(vhat) + eps)), g the whole force; for units that live in a box or on a line."""

    prefix: ClassVar[str] = "adam."

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

    def sweep(self, work: Workspace) -> None:
        taken = work.memory.get(_TAKEN, work.problem.x.new_zeros(work.problem.batch))
        work.remember(_TAKEN, taken + 1)
        share = (taken / self.budget(work.problem)).clamp(max=1)
        rate = 0.5 * self._lr(work.problem) * (1 + torch.cos(pi * share)) / (1 - self.beta1 ** (taken + 1))
        second = (1 - self.beta2 ** (taken + 1)) ** -0.5
        new = {}
        for name, layer in work.layers.items():
            s, force = work.units[name], work.force(name)
            spread = [-1, *[1] * (s.ndim - 1)]
            m = self._mean(work, _FIRST + name, self.beta1, -force)
            v = self._mean(work, _SECOND + name, self.beta2, force.square())
            size = second.view(spread) * v.clamp(min=_LEAST).sqrt() + self.eps
            new[name] = work.energy.domain(layer).project(torch.addcdiv(s, rate.view(spread) * m, size, value=-1))
        for name, value in new.items():
            work.write(name, value)

    def _lr(self, problem: Problem) -> float:
        if problem.phase == "free":
            return self.lr
        return min(self.lr, self.eps) if self.nudged_lr is None else self.nudged_lr

    @staticmethod
    def _mean(work: Workspace, key: str, decay: float, value: Tensor) -> Tensor:
        """The moving average under this key with one value more, remembered."""
        old = work.memory.get(key)
        new = (1 - decay) * value if old is None else torch.lerp(value, old, decay)
        work.remember(key, new)
        return new

    def why_not(self, energy: Energy) -> str | None:
        if not any(isinstance(energy.domain(layer), Circle) for layer in KINDS):
            return None
        return (
            "its units are phases: steps of up to lr radians cross from one basin to the next, so that a nudged state "
            "would not belong to the free one; use a relaxer made for phases"
        )
