"""The same block updates in place: dense edges, units below threshold in every phase, no autograd.

    f = b_l + W x + sum_e W_e u_e + beta y ;   x_l <- min(r (t - 1/t), 1),   r = sqrt(c / 3), c > 0
    t = (q + sqrt(q^2 + 1))^(1/3),   q = max(f, 0) / (2 r^3)

which is 2 r sinh(asinh(q) / 3) in functions that a CPU has fast ones for. What does not change while settling (bias,
input drive, the nudge's a and b) is folded into one constant per layer.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from eb_core import Dense, Workspace
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.workspace import records_or_rounds
from eb_dynamics_cim.energy import CimEnergy
from eb_dynamics_cim.unit import FLAT


@attrs.frozen(eq=False)
class _Update:
    """One layer: q from constant + sum of u @ matrix, then x <- min(r (t - 1/t), 1), in two buffers."""

    name: str
    state: Tensor
    spare: Tensor
    constant: Tensor
    terms: Sequence[tuple[Tensor, Tensor]]
    r: float | Tensor

    def run(self) -> None:
        state, t = self.state, self.spare
        for index, (u, matrix) in enumerate(self.terms):
            torch.addmm(state if index else self.constant, u, matrix, out=state)
        if not self.terms:
            state.copy_(self.constant)
        q = state.clamp_(min=0).mul_(0.5 / self.r**3)
        torch.mul(q, q, out=t).add_(1).sqrt_().add_(q).pow_(1 / 3)
        torch.reciprocal(t, out=state)
        torch.sub(t, state, out=state).mul_(self.r).clamp_(max=1)


class FusedRoots:
    """Block updates of one workspace; `of` says whether they can be had."""

    def __init__(self, work: Workspace, order: Sequence[str]) -> None:
        self._work = work
        work.buffered = True
        buffers = {name: value.clone() if name in work.layers else value for name, value in work.units.items()}
        self._updates = [self._update(name, buffers) for name in order]

    @staticmethod
    def of(work: Workspace, order: Sequence[str]) -> "FusedRoots | None":
        """The fused sweep, or None where the plain one must serve: c <= 0, other edges, costs, clamps, autograd."""
        pull = work.problem.nudge
        plain = (
            records_or_rounds(work)
            or type(work.energy) is not CimEnergy
            or (pull is not None and type(pull.cost) is not SquaredError)
            or any(clamp.mask is not None for clamp in work.problem.clamps.values())
            or any(len(layer.shape) != 1 for layer in work.problem.network.unit_layers)
            or any(type(edge) is not Dense for edge in work.problem.network.wires)
        )
        if plain:
            return None
        assert isinstance(work.energy, CimEnergy)
        lowest = work.energy.stiffness
        if pull is not None:
            lowest += min(0.0, float(pull.beta.min()))
        return FusedRoots(work, order) if lowest >= FLAT else None

    def _update(self, name: str, buffers: dict[str, Tensor]) -> _Update:
        work, network = self._work, self._work.problem.network
        terms = []
        for edge in network.wires:
            if edge.pre == network.input:
                continue
            if edge.post == name:
                terms.append((buffers[edge.pre], edge.weight.t()))
            elif edge.pre == name:
                terms.append((buffers[edge.post], edge.weight))
        assert isinstance(work.energy, CimEnergy)
        c: float | Tensor = work.energy.stiffness
        constant = work.constant_field(name)
        pull = work.problem.nudge
        if pull is not None and name == network.output:
            a, b = pull.quadratic(buffers[name])
            assert a is not None
            c, constant = c + a, constant + b
        state = buffers[name]
        return _Update(name, state, torch.empty_like(state), constant, terms, (c / 3) ** 0.5)

    def run(self, count: int) -> None:
        """So many sweeps; the workspace then holds the new states, and frozen samples theirs."""
        active = self._work.active
        kept = [] if active is None else [update.state.clone() for update in self._updates]
        for _ in range(count):
            for update in self._updates:
                update.run()
        for update, old in zip(self._updates, kept, strict=False):
            update.state.copy_(torch.where(active.unsqueeze(1), update.state, old))  # type: ignore[union-attr]
        for update in self._updates:
            self._work.write(update.name, update.state)
