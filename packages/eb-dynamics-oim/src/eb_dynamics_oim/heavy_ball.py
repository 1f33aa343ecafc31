"""Heavy ball with restart, to a stationary point of the same energy in far fewer steps:

    f = -dF/dphi;   v <- 0 in samples where sum_i f_i v_i < 0;   v <- mu v + eps f;   phi <- phi + v

The velocity starts at 0 in every phase, and is not handed to the next one. Stable while eps times the largest
curvature stays below 2 (1 + mu). Restart: B. O'Donoghue, E. Candes, "Adaptive restart for accelerated gradient
schemes" (2015), the gradient scheme, here for each sample by itself.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core import Energy, Network, Workspace, configurable, option
from eb_dynamics_oim.curvature import step_notices
from eb_dynamics_oim.fused import FusedPhases
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

    def sweeps(self, work: Workspace, count: int) -> None:
        if work.plan is None:
            work.plan = FusedPhases.of(work) or "plain"
        if isinstance(work.plan, FusedPhases):
            work.plan.roll(count, self.eps, self.mu)
        else:
            super().sweeps(work, count)

    def unrest(self, work: Workspace) -> Tensor:
        return work.plan.residual() if isinstance(work.plan, FusedPhases) else super().unrest(work)

    def sweep(self, work: Workspace) -> None:
        forces = {name: work.force(name) for name in work.layers}
        velocities = {name: work.memory.get(f"velocity.{name}") for name in work.layers}
        forward: Tensor | float = 0.0
        for name, velocity in velocities.items():
            if velocity is not None:
                forward = forward + (forces[name] * velocity).flatten(1).sum(1)
        for name, force in forces.items():
            velocity, step = velocities[name], self.eps * force
            if velocity is not None and isinstance(forward, Tensor):
                kept = self.mu * (forward >= 0).to(velocity)
                step = torch.addcmul(step, kept.view(-1, *[1] * (velocity.ndim - 1)), velocity)
            if name in work.problem.clamps:
                step = torch.where(work.problem.movable(name, step), step, 0.0)
            work.remember(f"velocity.{name}", step)
            work.write(name, work.units[name] + step)

    def notices(self, network: Network, energy: Energy) -> Sequence[str]:
        limit = 2 * (1 + self.mu)
        return [*super().notices(network, energy), *step_notices(network, energy, self.eps, limit)]
