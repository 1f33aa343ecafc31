"""A ball that rolls down the energy, with friction and walls that stop it.

    v_l <- mu v_l - h dF/ds_l;   s_l <- P(s_l + v_l);   v_l <- 0 where P moved s_l

All layers move at once from the old state. With mu = 0 it is projected gradient flow with steps of h.
"""

import torch

from eb_core import IterativeRelaxer, Properties, View, configurable, option


@configurable
class Inertial(IterativeRelaxer):
    """v <- mu v - h dF/ds, s <- P(s + v); its velocity goes from the free phase into the nudged ones."""

    h: float = option(default=0.4, help="step on the force", unit="time constants squared", gt=0, le=2)
    mu: float = option(default=0.5, help="share of the velocity that an iteration keeps", ge=0, lt=1)

    def properties(self) -> Properties:
        """All layers move at once from the old state."""
        return Properties(symmetric_response=True)

    def init(self, view: View, resumed: bool) -> None:
        """What a batch before has left behind is of no use: a free phase starts at rest."""
        before = dict(view.memory) if resumed or view.phase != "free" else {}
        view.memory.clear()
        for name in view.layers:
            view.remember(f"v.{name}", before.get(f"v.{name}", torch.zeros_like(view.units[name])))

    def step(self, view: View) -> None:
        """One iteration."""
        moved = {name: self.mu * view.memory[f"v.{name}"] + self.h * view.force(name) for name in view.layers}
        for name, v in moved.items():
            s = view.units[name] + v
            inside = view.project(name, s)
            view.remember(f"v.{name}", torch.where(s == inside, v, 0.0))
            view.write(name, inside)

    def measure(self, view: View) -> torch.Tensor:
        """A ball on its way through the minimum has not settled."""
        speeds = [view.memory[f"v.{name}"].abs().flatten(1).amax(1) for name in view.layers]
        return torch.stack([view.residual(), *speeds]).amax(0)
