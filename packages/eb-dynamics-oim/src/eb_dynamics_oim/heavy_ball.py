"""Heavy ball with restart, to a stationary point of the same energy in far fewer steps:

    f = -dF/dphi;   v <- 0 in samples where sum_i f_i v_i < 0;   v <- mu v + eps f;   phi <- phi + v

In memory is v / eps. The velocity starts at 0 in every phase, and is not handed on. Stable while eps times the largest
curvature stays below 2 (1 + mu). Restart: B. O'Donoghue, E. Candes, "Adaptive restart for accelerated gradient
schemes" (2015), the gradient scheme, here for each sample by itself.
"""

import functools
from collections.abc import Iterable

import torch

from eb_core import Diagnostic, Setup, View, configurable, option
from eb_dynamics_oim.curvature import step_notices
from eb_dynamics_oim.phases import PhaseRelaxer


@configurable
class HeavyBall(PhaseRelaxer):
    """v <- mu v + eps f, phi <- phi + v; each sample restarts where it would climb."""

    steps: int = option(default=600, help="largest number of steps in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(default=300, help="largest number of steps in a nudged phase", unit="iterations", ge=1)
    check_every: int = option(default=20, help="steps between two looks at the residual", unit="iterations", ge=1)
    eps: float = option(
        default=0.5, help="step; stable while eps times the largest curvature is below 2 (1 + mu)", unit="time", gt=0
    )
    mu: float = option(default=0.9, help="share of the velocity that is kept from step to step", ge=0, lt=1)

    def init(self, view: View, resumed: bool) -> None:
        super().init(view, resumed)
        for name in view.layers:
            view.remember(f"velocity.{name}", torch.zeros_like(view.units[name]))

    def step(self, view: View) -> None:
        forces = {name: view.force(name) for name in view.layers}
        velocities = {name: view.memory[f"velocity.{name}"] for name in view.layers}
        products = [(forces[name] * velocity).flatten(1).sum(1) for name, velocity in velocities.items()]
        forward = functools.reduce(torch.add, products).detach()
        kept = torch.heaviside(forward, torch.ones_like(forward))  # 0 in samples that would climb
        for name, velocity in velocities.items():
            new = torch.addcmul(forces[name], view.spread(kept, velocity), velocity, value=self.mu)
            held = view.held(name)
            view.remember(f"velocity.{name}", new if held is None else new.masked_fill(held, 0.0))
            view.write(name, torch.add(view.units[name], view.memory[f"velocity.{name}"], alpha=self.eps))

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        yield from super().check(setup)
        yield from step_notices(setup, self.eps, 2 * (1 + self.mu))
