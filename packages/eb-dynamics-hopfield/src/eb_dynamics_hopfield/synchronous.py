"""Synchronous updates: all layers at once from the old state.

    s_l(t+1) = argmin_{s_l} F(s_l; s_others(t))

On a chain with linear edges and the closed-form nudge, K asynchronous iterations give the even layers of
synchronous step 2K and the odd layers of step 2K - 1. Not monotone; it converges while the coupling norm is
below 1, and may end in a cycle of length two above.
"""

from typing import Literal

from eb_core import Energy, IterativeRelaxer, Workspace, configurable, option


@configurable
class HopfieldSync(IterativeRelaxer):
    """s_l <- argmin F over layer l, all layers at once."""

    symmetric = True
    needs_force = False

    nudge: Literal["closed", "iterated"] = option(
        default="closed",
        help="nudged output in closed form, or o <- g - beta (o - y) as EBL's code does",
        phases=("nudged",),
    )

    def why_not(self, energy: Energy) -> str | None:
        if energy.channels > 1:
            return "phases that all turn to their field at once fall into cycles of two: use hopfield or gradient-flow"
        if not energy.differentiable:
            return "spins that all turn at once fall into cycles of two: use hopfield"
        return None

    def sweep(self, work: Workspace) -> None:
        new = {layer: work.minimized(layer, iterated_nudge=self.nudge == "iterated") for layer in work.layers}
        for layer, value in new.items():
            work.write(layer, value)
