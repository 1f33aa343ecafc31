"""Projected gradient flow, explicit Euler:

    s <- P(s - dt dF/ds),   all layers at once

Stable on the Hopfield energy while dt (1 + a + sigma + max(beta, 0)) < 2, with sigma the coupling norm on the units
inside the box and a the largest self-term of edges at a unit; F then never increases.
"""

from collections.abc import Iterable

import torch

from eb_core import Diagnostic, IterativeRelaxer, Properties, Setup, View, configurable, notice, option
from eb_core.settling.coupling import coupling_norm


@configurable
class GradientFlow(IterativeRelaxer):
    """s <- P(s - dt dF/ds): the continuous-time dynamics of EP in explicit Euler steps."""

    steps: int = option(default=200, help="largest number of steps in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(
        default=200, help="largest number of steps in a nudged or clamped phase", unit="iterations", ge=1
    )
    dt: float = option(
        default=0.5, help="Euler step; stable while dt (1 + sigma + beta) < 2", unit="time constants", gt=0, le=2
    )

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """Says if dt is beyond the stable limit for the self-terms of edges."""
        network = setup.network
        bend = network.largest_self_term() if network is not None and setup.with_notices else 0.0
        if network is None or not bend or not network.linear:
            return
        stiffest = 1 + bend + coupling_norm(network)
        if not self.dt * stiffest < 2:
            yield notice(
                f"dt = {self.dt:g} is not below 2 / (1 + largest self-term + coupling norm) = {2 / stiffest:.3g}: units"
                " may oscillate instead of settling. Lower dt, or use hopfield or csb, which follow the curvature of"
                " each unit"
            )

    def properties(self) -> Properties:
        return Properties(descends=True, symmetric_response=True)

    def step(self, view: View) -> None:
        new = {
            name: view.project(name, torch.add(view.units[name], view.force(name), alpha=self.dt))
            for name in view.layers
        }
        for name, value in new.items():
            view.write(name, value)
