"""Block updates of the CIM energy: each layer in turn to its exact minimum with the neighbours fixed.

    x_l <- argmin_{[0,1]} (1 - p) x^2 / 2 + x^4 / 4 - f x,   the root of x^3 + c x = f,   f the local field

at the output c = 1 - p + beta and f + beta y. F never increases: exact block-coordinate descent where every edge is
linear in its pre layer, a majorise-minimise step through a max-pool edge.
"""

from typing import Literal

from eb_core import Energy, Workspace, configurable, option
from eb_core.settling.iterative import IterativeRelaxer
from eb_dynamics_cim.energy import CimEnergy
from eb_dynamics_cim.fused import FusedRoots


@configurable
class CimBlock(IterativeRelaxer):
    """x_l <- argmin F over layer l by the closed-form root, layer after layer."""

    monotone = True

    order: Literal["colour", "forward"] = option(
        default="colour", help="colour by colour (odd layers, then even ones, on a chain) or from layer 1 to the last"
    )

    def sweeps(self, work: Workspace, count: int) -> None:
        if work.plan is None:
            work.plan = FusedRoots.of(work, work.order(self.order)) or "plain"
        if isinstance(work.plan, FusedRoots):
            work.plan.run(count)
        else:
            super().sweeps(work, count)

    def sweep(self, work: Workspace) -> None:
        for layer in work.order(self.order):
            work.write(layer, work.minimized(layer))

    def why_not(self, energy: Energy) -> str | None:
        if isinstance(energy, CimEnergy):
            return None
        return "its closed-form root is that of the cim energy: use hopfield, which minimises the units of any energy"
