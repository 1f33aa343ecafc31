"""The phase dynamics of an oscillator Ising machine in explicit Euler steps:

    phi <- phi - eps dF/dphi + eps xi N(0, 1)          noise "step", as the paper adds it
    phi <- phi - eps dF/dphi + sqrt(eps) xi N(0, 1)    noise "rate": its effect does not depend on eps

Stable while eps times the largest curvature of F stays below 2. Gower, arXiv 2505.02103, Table I: eps .45 to .5.
"""

from collections.abc import Iterable
from typing import Literal

import attrs
import torch
from torch import Tensor

from eb_core import Diagnostic, Properties, Setup, View, configurable, notice, option
from eb_dynamics_oim.curvature import step_notices
from eb_dynamics_oim.phases import PhaseRelaxer


@configurable
class PhaseDynamics(PhaseRelaxer):
    """phi <- phi - eps dF/dphi + noise, all units at once: what the machine itself does."""

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

    def properties(self) -> Properties:
        return attrs.evolve(super().properties(), symmetric_response=True)

    def step(self, view: View) -> None:
        new: dict[str, Tensor] = {}
        for name in view.layers:
            new[name] = torch.add(view.units[name], view.force(name), alpha=self.eps)
            if self.noise:
                new[name] = torch.add(new[name], view.normal(name), alpha=self.kick)
        for name, value in new.items():
            view.write(name, value)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        yield from super().check(setup)
        yield from step_notices(setup, self.eps, 2.0)
        if self.noise and self.tol:
            yield notice("noise keeps the residual above any small tolerance: with tol=0 all steps are run unmeasured")
