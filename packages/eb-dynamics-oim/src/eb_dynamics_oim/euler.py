"""The phase dynamics of an oscillator Ising machine in explicit Euler steps:

    phi <- phi - eps dF/dphi + eps xi N(0, 1)          noise "step", as the paper adds it
    phi <- phi - eps dF/dphi + sqrt(eps) xi N(0, 1)    noise "rate": its effect does not depend on eps

Stable while eps times the largest curvature of F stays below 2. Gower, arXiv 2505.02103, Table I: eps .45 to .5.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from eb_core import Energy, Network, Workspace, configurable, option
from eb_dynamics_oim.curvature import step_notices
from eb_dynamics_oim.fused import FusedPhases
from eb_dynamics_oim.phases import PhaseRelaxer


@configurable
class PhaseDynamics(PhaseRelaxer):
    """phi <- phi - eps dF/dphi + noise, all units at once: what the machine itself does."""

    symmetric = True

    steps: int = option(default=4000, help="largest number of steps in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(default=400, help="largest number of steps in a nudged phase", unit="iterations", ge=1)
    check_every: int = option(default=50, help="steps between two looks at the residual", unit="iterations", ge=1)
    eps: float = option(
        default=0.5, help="Euler step; stable while eps times the largest curvature is below 2", unit="time", gt=0
    )
    noise: float = option(default=0.0, help="phase noise xi, in every phase and in tests", unit="rad", ge=0)
    noise_scale: Literal["step", "rate"] = option(
        default="step",
        help="noise per step: eps xi N(0, 1) as in the paper, or sqrt(eps) xi N(0, 1)",
        only_with={"noise": True},
    )

    @property
    def kick(self) -> float:
        """Standard deviation of the noise of one step, in rad."""
        return self.noise * (self.eps if self.noise_scale == "step" else self.eps**0.5)

    def sweeps(self, work: Workspace, count: int) -> None:
        if work.plan is None:
            work.plan = FusedPhases.of(work) or "plain"
        if isinstance(work.plan, FusedPhases):
            work.plan.flow(count, self.eps, self.kick)
        else:
            super().sweeps(work, count)

    def unrest(self, work: Workspace) -> Tensor:
        return work.plan.residual() if isinstance(work.plan, FusedPhases) else super().unrest(work)

    def sweep(self, work: Workspace) -> None:
        new: dict[str, Tensor] = {}
        for name in work.layers:
            new[name] = work.units[name] + self.eps * work.force(name)
            if self.noise:
                new[name] = new[name] + self.kick * work.normal(name)
        for name, value in new.items():
            work.write(name, value)

    def notices(self, network: Network, energy: Energy) -> Sequence[str]:
        found = [*super().notices(network, energy), *step_notices(network, energy, self.eps, 2.0)]
        if self.noise and self.tol:
            found.append("noise keeps the residual above any small tolerance: with tol=0 all steps are run unmeasured")
        return found
