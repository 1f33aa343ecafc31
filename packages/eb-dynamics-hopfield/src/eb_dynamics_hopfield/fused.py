"""The same block updates in as few kernels as they need: dense edges, quadratic units, no autograd.

    s_l <- P((b_l + W x + sum_e W_e u_e + b) / (1 + a))

Everything that does not change while settling (bias, input drive, the nudge's a and b) is folded into one constant
per layer; what is left is one product per neighbour, written into a buffer, and one clip. A nudge that differs from
sample to sample, or follows the current output (`iterated`), costs one kernel more on the output layer.
"""

from collections.abc import Sequence
from typing import Literal

import attrs
import torch
from torch import Tensor

from eb_core import Box, Dense, Workspace
from eb_core.things.squared_error import SquaredError
from eb_dynamics_hopfield.energy import HopfieldEnergy


@attrs.frozen(eq=False)
class _Update:
    """One layer: s <- clip(scale * (constant + sum of u @ matrix - drag * s))."""

    name: str
    state: Tensor
    constant: Tensor
    terms: Sequence[tuple[Tensor, Tensor]]
    factor: float
    scale: Tensor | None
    drag: float | Tensor | None
    boxed: bool

    def run(self) -> None:
        state, constant = self.state, self.constant
        if self.drag is not None:
            constant = constant - self.drag * state
        for index, (u, matrix) in enumerate(self.terms):
            torch.addmm(state if index else constant, u, matrix, alpha=self.factor, out=state)
        if not self.terms:
            state.copy_(constant)
        if self.scale is not None:
            state.mul_(self.scale)
        if self.boxed:
            state.clamp_(0.0, 1.0)


class FusedSweep:
    """Block updates of one workspace; `of` says whether they can be had."""

    def __init__(self, work: Workspace, order: Sequence[str], nudge: Literal["closed", "iterated"]) -> None:
        self._work = work
        buffers = {name: value.clone() if name in work.layers else value for name, value in work.units.items()}
        self._updates = [self._update(name, buffers, nudge) for name in order]

    @staticmethod
    def of(work: Workspace, order: Sequence[str], nudge: Literal["closed", "iterated"]) -> "FusedSweep | None":
        """The fused sweep, or None where the plain one must serve: other energies, edges, costs, clamps, autograd."""
        pull = work.problem.nudge
        plain = (
            torch.is_grad_enabled()
            or type(work.energy) is not HopfieldEnergy
            or (pull is not None and type(pull.cost) is not SquaredError)
            or any(clamp.mask is not None for clamp in work.problem.clamps.values())
            or any(len(layer.shape) != 1 for layer in work.problem.network.unit_layers)
            or any(type(edge) is not Dense for edge in work.problem.network.wires)
        )
        return None if plain else FusedSweep(work, order, nudge)

    def _update(self, name: str, buffers: dict[str, Tensor], nudge: Literal["closed", "iterated"]) -> _Update:
        work, network = self._work, self._work.problem.network
        terms = []
        for edge in network.wires:
            if edge.pre == network.input:
                continue
            if edge.post == name:
                terms.append((buffers[edge.pre], edge.weight.t()))
            elif edge.pre == name:
                terms.append((buffers[edge.post], edge.weight))
        constant, factor = work.base(name), 1.0
        scale: Tensor | None = None
        drag: float | Tensor | None = None
        pull = work.problem.nudge
        if pull is not None and name == network.output:
            if nudge == "iterated":
                drag = pull.strength
                constant = constant + drag * pull.target
            else:
                a, b = pull.quadratic(buffers[name])
                if isinstance(a, Tensor):
                    constant, scale = constant + b, 1 / (1 + a)
                else:
                    constant, factor = (constant + b) / (1 + a), 1 / (1 + a)
        boxed = isinstance(work.energy.domain(work.layers[name]), Box)
        return _Update(name, buffers[name], constant, terms, factor, scale, drag, boxed)

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
