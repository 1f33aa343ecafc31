"""Projected gradient flow, explicit Euler:

    s <- P(s - dt dF/ds),   all layers at once

Stable on the Hopfield energy while dt (1 + a + sigma + max(beta, 0)) < 2, with sigma the coupling norm on the units
inside the box and a the largest self-term of edges at a unit; F then never increases.
"""

from collections.abc import Sequence

from eb_core import Energy, IterativeRelaxer, Network, Workspace, configurable, option
from eb_core.settling.coupling import coupling_norm


@configurable
class GradientFlow(IterativeRelaxer):
    """s <- P(s - dt dF/ds): the continuous-time dynamics of EP in explicit Euler steps."""

    monotone = True
    symmetric = True

    steps: int = option(default=200, help="largest number of steps in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(
        default=200, help="largest number of steps in a nudged or clamped phase", unit="iterations", ge=1
    )
    dt: float = option(
        default=0.5, help="Euler step; stable while dt (1 + sigma + beta) < 2", unit="time constants", gt=0, le=2
    )

    def notices(self, network: Network, energy: Energy) -> Sequence[str]:
        """Says if dt is beyond the stable limit for the self-terms of edges."""
        bend = network.largest_self_term()
        if not bend or not network.linear:
            return ()
        stiffest = 1 + bend + coupling_norm(network)
        if self.dt * stiffest < 2:
            return ()
        return (
            f"dt = {self.dt:g} is not below 2 / (1 + largest self-term + coupling norm) = {2 / stiffest:.3g}: units may"
            " oscillate instead of settling. Lower dt, or use hopfield or csb, which follow the curvature of each unit",
        )

    def sweep(self, work: Workspace) -> None:
        new = {
            name: work.energy.domain(layer).project(work.units[name] + self.dt * work.force(name))
            for name, layer in work.layers.items()
        }
        for name, value in new.items():
            work.write(name, value)
