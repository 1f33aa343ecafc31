"""Synchronous updates: all layers at once from the old state.

    s_l(t+1) = argmin_{s_l} F(s_l; s_others(t))

On a chain with linear edges and the closed-form nudge, K asynchronous iterations give the even layers of
synchronous step 2K and the odd layers of step 2K - 1. Not monotone; it converges while the coupling norm is
below 1, and may end in a cycle of length two above.
"""

from collections.abc import Iterable
from typing import Literal

from eb_core import Diagnostic, IterativeRelaxer, Properties, Setup, View, configurable, option, refuse


@configurable
class HopfieldSync(IterativeRelaxer):
    """s_l <- argmin F over layer l, all layers at once."""

    nudge: Literal["closed", "iterated"] = option(
        default="closed",
        help="nudged output in closed form, or o <- g - beta (o - y) as EBL's code does",
        phases=("nudged",),
    )

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        energy = setup.energy
        if energy is not None and energy.channels > 1:
            yield refuse(
                "phases that all turn to their field at once fall into cycles of two: use hopfield or gradient-flow"
            )
        elif energy is not None and not energy.differentiable:
            yield refuse("spins that all turn at once fall into cycles of two: use hopfield")

    def properties(self) -> Properties:
        return Properties(symmetric_response=True, needs_force=False)

    def step(self, view: View) -> None:
        new = {layer: view.minimized(layer, iterated_nudge=self.nudge == "iterated") for layer in view.layers}
        for layer, value in new.items():
            view.write(layer, value)
