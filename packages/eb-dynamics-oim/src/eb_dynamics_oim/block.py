"""Block updates: each layer in turn to the phases that minimise F with its neighbours fixed.

    phi_l <- atan2(Fs, Fc)      (with S' = S - beta/2 not 0: a few majorising steps, see `OscillatorEnergy`)

F never increases. The same update as the relaxer `hopfield`, here with the budgets and the read-out of phases.
"""

from typing import Literal

import attrs

from eb_core import Properties, View, configurable, option
from eb_dynamics_oim.phases import PhaseRelaxer


@configurable
class BlockPhases(PhaseRelaxer):
    """phi_l <- argmin F over layer l, layer after layer; no step size to choose."""

    steps: int = option(default=600, help="largest number of sweeps in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(default=300, help="largest number of sweeps in a nudged phase", unit="iterations", ge=1)
    check_every: int = option(default=10, help="sweeps between two looks at the residual", unit="iterations", ge=1)
    order: Literal["colour", "forward"] = option(
        default="colour", help="colour by colour (odd layers, then even ones, on a chain) or from layer 1 to the last"
    )

    def properties(self) -> Properties:
        return attrs.evolve(super().properties(), descends=True)

    def step(self, view: View) -> None:
        for layer in view.order(self.order):
            view.write(layer, view.minimized(layer))
