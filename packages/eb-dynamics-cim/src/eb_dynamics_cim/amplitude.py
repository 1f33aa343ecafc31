"""Amplitude dynamics of a coherent Ising machine, explicit Euler-Maruyama with walls:

    x <- P(x + [(p - 1 - x^2) x + f - beta (x_L - y)] dt + sigma sqrt(dt) N(0, 1)),   all layers at once

f is the local field, the beta term acts on the output layer, P cuts to [0, 1] after the noise. With sigma = 0 and a
constant pump this is projected gradient flow of the CIM energy with step dt. A ramp lets the pump of the free phase
rise linearly from 0 to the energy's p and then holds it, so that every phase ends at the same p:

    p(k) = p min(k / K, 1),   K = floor(ramp * steps)

A step is stable while dt (1 - p + 3 max x^2 + |beta| + coupling norm + self-terms of edges) < 2, with max x <= 1.
"""

from collections.abc import Iterable
from math import sqrt

import torch
from torch import Tensor

from eb_core import (
    Diagnostic,
    IterativeRelaxer,
    Problem,
    Properties,
    Setup,
    State,
    View,
    configurable,
    notice,
    option,
    refuse,
)
from eb_core.settling.coupling import coupling_norm
from eb_dynamics_cim.energy import CimEnergy


@configurable
class AmplitudeDynamics(IterativeRelaxer):
    """x <- P(x - dt dF/dx + sigma sqrt(dt) N(0, 1)): the physical dynamics, in steps of dt."""

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

    def properties(self) -> Properties:
        """Without noise and ramp all layers move by dt times their force, from the old state, and F never increases."""
        quiet = not self.noise and not self.ramp
        return Properties(descends=quiet, symmetric_response=quiet, resumable=False)

    def init(self, view: View, resumed: bool) -> None:
        super().init(view, resumed)
        if self._rise and view.phase == "free":
            view.remember("taken", view.like.new_zeros(view.batch))

    def step(self, view: View) -> None:
        missing = self._missing_pump(view)
        new = {}
        for name in view.layers:
            s = view.units[name]
            moved = torch.add(s, view.force(name), alpha=self.dt)
            if missing is not None:
                moved = moved - self.dt * view.spread(missing, s) * s
            if self.noise:
                moved = torch.add(moved, view.normal(name), alpha=self.noise * sqrt(self.dt))
            new[name] = view.project(name, moved)
        for name, value in new.items():
            view.write(name, value)

    def finish(self, problem: Problem, state: State) -> State:
        return State(state.units)

    @property
    def _rise(self) -> int:
        """K, the iterations in which the pump rises."""
        return int(self.ramp * self.steps)

    def _missing_pump(self, view: View) -> Tensor | None:
        """p - p(k) of each sample, (B,), and one iteration more on its count; None where the pump is constant."""
        taken = view.memory.get("taken")
        if taken is None or not isinstance(view.energy, CimEnergy):
            return None
        view.remember("taken", taken + 1)
        return view.energy.pump * (1 - taken / self._rise).clamp(min=0)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """Says if dt is beyond the stable limit for amplitudes up to 1, and if a ramp has nothing to raise."""
        energy, network = setup.energy, setup.network
        if energy is None:
            return
        if not isinstance(energy, CimEnergy):
            yield refuse(
                "that energy has no pump and no saturation, and without them amplitude dynamics is plain gradient flow:"
                " use gradient-flow"
            )
            return
        if self.ramp and not energy.pump:
            yield notice("ramp has no effect with pump = 0: give the energy a pump, or leave the ramp out")
        if network is None or not network.linear or not setup.with_notices:
            return
        stiffest = energy.stiffness + 3 + coupling_norm(network) + network.largest_self_term()
        if self.dt * stiffest >= 2:
            yield notice(
                f"dt = {self.dt:g} is not below 2 / (4 - p + coupling norm) = {2 / stiffest:.3g}: units near 1 may "
                f"oscillate instead of settling. Lower dt, below 2 / ({stiffest:.3g} + |beta|) for nudged phases"
            )
