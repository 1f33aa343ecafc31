"""Amplitude dynamics of a coherent Ising machine, explicit Euler-Maruyama with walls:

    x <- P(x + [(p - 1 - x^2) x + f - beta (x_L - y)] dt + sigma sqrt(dt) N(0, 1)),   all layers at once

f is the local field, the beta term acts on the output layer, P cuts to [0, 1] after the noise. With sigma = 0 and a
constant pump this is projected gradient flow of the CIM energy with step dt. A ramp lets the pump of the free phase
rise linearly from 0 to the energy's p and then holds it, so that every phase ends at the same p:

    p(k) = p min(k / K, 1),   K = floor(ramp * steps)

A step is stable while dt (1 - p + 3 max x^2 + |beta| + coupling norm + self-terms of edges) < 2, with max x <= 1.
"""

from collections.abc import Sequence
from math import sqrt
from typing import ClassVar

from torch import Tensor

from eb_core import Energy, Network, Workspace, configurable, option
from eb_core.settling.coupling import coupling_norm
from eb_dynamics_cim.energy import CimEnergy
from eb_dynamics_cim.within_phase import WithinPhase

_TAKEN = "cim.iterations"


@configurable
class AmplitudeDynamics(WithinPhase):
    """x <- P(x - dt dF/dx + sigma sqrt(dt) N(0, 1)): the physical dynamics, in steps of dt."""

    prefix: ClassVar[str] = "cim."

    steps: int = option(default=20, help="largest number of iterations in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(
        default=15, help="largest number of iterations in a nudged or clamped phase", unit="iterations", ge=1
    )
    tol: float = option(
        default=0.0,
        help="a sample stops once max|P(s - dF/ds) - s| is at most this; 0: every phase runs all its iterations",
        unit="units of the state",
        ge=0,
    )
    dt: float = option(
        default=0.2,
        help="Euler step; 0.05 follows the slow physical way; stable while dt (4 - p + |beta| + coupling norm) < 2",
        unit="amplitude decay times",
        gt=0,
        lt=2,
    )
    noise: float = option(
        default=0.0,
        help="sigma: standard deviation of the noise that a unit gathers in one unit of time, in every phase",
        unit="amplitude per square root of a decay time",
        ge=0,
    )
    ramp: float = option(
        default=0.0,
        help="share of the free phase's iterations in which the pump rises from 0 to the energy's; 0: constant pump",
        unit="share of steps",
        ge=0,
        lt=1,
    )

    @property
    def monotone(self) -> bool:  # type: ignore[override]
        """Without noise and ramp F never increases while the step is stable."""
        return not self.noise and not self.ramp

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Without noise and ramp all layers move by dt times their force, from the old state."""
        return not self.noise and not self.ramp

    def sweep(self, work: Workspace) -> None:
        missing = self._missing_pump(work)
        new = {}
        for name, layer in work.layers.items():
            s = work.units[name]
            moved = s + self.dt * work.force(name)
            if missing is not None:
                moved = moved - self.dt * missing.view(-1, *[1] * (s.ndim - 1)) * s
            if self.noise:
                moved = moved + self.noise * sqrt(self.dt) * work.normal(name)
            new[name] = work.energy.domain(layer).project(moved)
        for name, value in new.items():
            work.write(name, value)

    def _missing_pump(self, work: Workspace) -> Tensor | None:
        """p - p(k) of each sample, (B,), and one iteration more on its count; None where the pump is constant."""
        rise = int(self.ramp * self.steps)
        energy = work.energy
        if not rise or work.problem.phase != "free" or not isinstance(energy, CimEnergy):
            return None
        taken = work.memory.get(_TAKEN, work.problem.x.new_zeros(work.problem.batch))
        work.remember(_TAKEN, taken + 1)
        return energy.pump * (1 - taken / rise).clamp(min=0)

    def why_not(self, energy: Energy) -> str | None:
        if isinstance(energy, CimEnergy):
            return None
        return (
            "that energy has no pump and no saturation, and without them amplitude dynamics is plain gradient flow: "
            "use gradient-flow"
        )

    def notices(self, network: Network, energy: Energy) -> Sequence[str]:
        """Says if dt is beyond the stable limit for amplitudes up to 1, and if a ramp has nothing to raise."""
        if not isinstance(energy, CimEnergy):
            return ()
        found = []
        if network.linear:
            norm = coupling_norm(network)
            stiffest = energy.stiffness + 3 + norm + network.largest_self_term()
            if self.dt * stiffest >= 2:
                found.append(
                    f"dt = {self.dt:g} is not below 2 / (4 - p + coupling norm) = {2 / stiffest:.3g}: units near 1 may "
                    f"oscillate instead of settling. Lower dt, below 2 / ({stiffest:.3g} + |beta|) for nudged phases"
                )
        if self.ramp and not energy.pump:
            found.append("ramp has no effect with pump = 0: give the energy a pump, or leave the ramp out")
        return found
