"""Projected gradient flow, explicit Euler:

    s <- P(s - dt dF/ds),   all layers at once

Stable on the Hopfield energy while dt (1 + sigma + max(beta, 0)) < 2, with sigma the coupling norm on the units
inside the box; F then never increases.
"""

from eb_core import IterativeRelaxer, Workspace, configurable, option


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

    def sweep(self, work: Workspace) -> None:
        new = {
            name: work.energy.domain(layer).project(work.units[name] + self.dt * work.force(name))
            for name, layer in work.layers.items()
        }
        for name, value in new.items():
            work.write(name, value)
