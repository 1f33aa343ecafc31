"""Asynchronous updates: each layer in turn goes to its minimum with the neighbours fixed.

    s_l <- argmin_{s_l} F(s),   on the Hopfield energy clip(g_l, 0, 1), and (g_L + beta y) / (1 + beta) at the output

Scellier et al., NeurIPS 2023 (arXiv 2312.15103), "asynchronous": odd layers, then even ones. Where every edge is
linear in u_l this is exact block-coordinate descent and F never increases; through a max-pool edge the same call
is a majorise-minimise step, still monotone.
"""

from typing import Literal

from eb_core import IterativeRelaxer, Properties, View, configurable, option


@configurable
class Hopfield(IterativeRelaxer):
    """s_l <- argmin F over layer l, layer after layer; works on every energy that can minimise a unit."""

    order: Literal["colour", "forward"] = option(
        default="colour", help="colour by colour (odd layers, then even ones, on a chain) or from layer 1 to the last"
    )
    nudge: Literal["closed", "iterated"] = option(
        default="closed",
        help="nudged output in closed form, or o <- g - beta (o - y) as EBL's code does",
        phases=("nudged",),
    )

    def properties(self) -> Properties:
        return Properties(descends=True, needs_force=False)

    def step(self, view: View) -> None:
        for layer in view.order(self.order):
            view.write(layer, view.minimized(layer, iterated_nudge=self.nudge == "iterated"))
