"""Block updates of the CIM energy: each layer in turn to its exact minimum with the neighbours fixed.

    x_l <- argmin_{[0,1]} (1 - p) x^2 / 2 + x^4 / 4 - f x,   the root of x^3 + c x = f,   f the local field

at the output c = 1 - p + beta and f + beta y. F never increases: exact block-coordinate descent where every edge is
linear in its pre layer, a majorise-minimise step through a max-pool edge.
"""

from collections.abc import Iterable
from typing import Literal

from eb_core import Diagnostic, Properties, Setup, View, configurable, option, refuse
from eb_core.settling.iterative import IterativeRelaxer
from eb_dynamics_cim.energy import CimEnergy


@configurable
class CimBlock(IterativeRelaxer):
    """x_l <- argmin F over layer l by the closed-form root, layer after layer."""

    order: Literal["colour", "forward"] = option(
        default="colour", help="colour by colour (odd layers, then even ones, on a chain) or from layer 1 to the last"
    )

    def properties(self) -> Properties:
        return Properties(descends=True)

    def step(self, view: View) -> None:
        for layer in view.order(self.order):
            view.write(layer, view.minimized(layer))

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if not isinstance(setup.energy, CimEnergy | None):
            yield refuse(
                "its closed-form root is that of the cim energy: use hopfield, which minimises the units of any energy"
            )
