"""Asynchronous updates: each layer in turn goes to its minimum with the neighbours fixed.

    s_l <- argmin_{s_l} F(s),   on the Hopfield energy clip(g_l, 0, 1), and (g_L + beta y) / (1 + beta) at the output

Scellier et al., NeurIPS 2023 (arXiv 2312.15103), "asynchronous": odd layers, then even ones. Where every edge is
linear in u_l this is exact block-coordinate descent and F never increases; through a max-pool edge the same call
is a majorise-minimise step, still monotone.
"""

from typing import Literal

from torch import Tensor

from eb_core import IterativeRelaxer, Workspace, configurable, option
from eb_dynamics_hopfield.fused import FusedSweep


@configurable
class Hopfield(IterativeRelaxer):
    """s_l <- argmin F over layer l, layer after layer; works on every energy that can minimise a unit."""

    monotone = True
    needs_force = False

    order: Literal["colour", "forward"] = option(
        default="colour", help="colour by colour (odd layers, then even ones, on a chain) or from layer 1 to the last"
    )
    nudge: Literal["closed", "iterated"] = option(
        default="closed",
        help="nudged output in closed form, or o <- g - beta (o - y) as EBL's code does",
        phases=("nudged",),
    )

    def sweeps(self, work: Workspace, count: int) -> None:
        if work.plan is None:
            work.plan = FusedSweep.of(work, work.order(self.order), self.nudge) or "plain"
        if isinstance(work.plan, FusedSweep):
            work.plan.run(count)
        else:
            super().sweeps(work, count)

    def unrest(self, work: Workspace) -> Tensor:
        fused = work.plan.residual() if isinstance(work.plan, FusedSweep) else None
        return work.residual() if fused is None else fused

    def sweep(self, work: Workspace) -> None:
        for layer in work.order(self.order):
            work.write(layer, work.minimized(layer, iterated_nudge=self.nudge == "iterated"))
