"""Quadratic terms on the code of every layer: self-terms of edges, the nudge on the read-out, majorised lateral edges.

1/2 <a_l, |u_l|^2> - <b_l, u_l>,   a, b per channel and unit

self-terms of edges    a = sum of `Edge.curvature` at the layer, in every channel
nudge                  (a, b) of `Nudge.quadratic` on channel 0 of the output: exact, or majorised at the read-out
lateral edges          in a block update only: a = sum |J|, b = a u at the current u, so that F does not climb
"""

from collections.abc import Iterable, Mapping
from functools import cached_property

import torch
from torch import Tensor

from eb_core.network.network import Layer
from eb_core.settling.nudge import Nudge
from eb_core.settling.problem import Problem


class QuadraticTerms:
    """The terms of one problem; fields are (channels, B, *shape), codes the same or, of one channel, (B, *shape).

    Attributes:
        self_terms: layer name -> a of its edges, (channels, 1, *shape or 1s).
        curvatures: the same with the nudge, (channels, B or 1, *shape or 1s).
        majorants: layer name -> a of its lateral edges, (channels, 1, *shape).
        bent: layers with self-terms or the nudge; in_block: those and layers with lateral edges.
    """

    def __init__(self, problem: Problem, layers: Iterable[Layer]) -> None:
        network, self._channels, self._nudge = problem.network, problem.energy.channels, problem.nudge
        self._output = network.output
        self.self_terms: dict[str, Tensor] = {}
        self.majorants: dict[str, Tensor] = {}
        for layer in layers:
            own, lateral = network.curvature(layer.name), network.lateral(layer.name)
            if own is not None:
                self.self_terms[layer.name] = self._in_every_channel(own)
            if lateral:
                sizes = [edge.majorant(layer.shape) for edge in lateral]
                self.majorants[layer.name] = self._in_every_channel(torch.stack(sizes).sum(0))
        nudged = () if self._nudge is None else (self._output,)
        self.bent = {*self.self_terms, *nudged}
        self.in_block = {*self.bent, *self.majorants}

    @cached_property
    def curvatures(self) -> Mapping[str, Tensor]:
        if self._nudge is None:
            return self.self_terms
        bend, own = self._in_first_channel(self._nudge.curvature()), self.self_terms.get(self._output)
        return {**self.self_terms, self._output: bend if own is None else bend + own}

    def in_force(self, name: str, field: Tensor, code: Tensor) -> Tensor:
        """The field less a u and, on the output, less the slope of the nudge: what the force -dF/ds is made of."""
        if name in self.self_terms:
            field = field - self.self_terms[name] * code
        nudge = self.nudge(name)
        return field if nudge is None else _plus(field, nudge.slope(self._readout(code)), -1)

    def in_minimum(
        self, name: str, field: Tensor, code: Tensor, iterated_nudge: bool, majorised: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The field with b added, and a or None: what `Energy.minimize_unit` takes."""
        nudge = self.nudge(name)
        bend = (self.self_terms if iterated_nudge else self.curvatures).get(name)
        if nudge is not None:
            field = _plus(field, nudge.quadratic(self._readout(code), iterated_nudge)[1], 1)
        if majorised and name in self.majorants:
            bound = self.majorants[name]
            field = field + bound * code
            bend = bound if bend is None else bend + bound
        return field, bend

    def nudge(self, name: str) -> Nudge | None:
        """The nudge, if it acts on this layer."""
        return self._nudge if name == self._output else None

    def _readout(self, code: Tensor) -> Tensor:
        return code if self._channels == 1 else code[0]

    def _in_every_channel(self, of_units: Tensor) -> Tensor:
        return of_units.expand(self._channels, 1, *of_units.shape)

    def _in_first_channel(self, of_samples: Tensor) -> Tensor:
        first = of_samples.unsqueeze(0)
        others = self._channels - 1
        return torch.cat([first, first.new_zeros(others, *of_samples.shape)]) if others else first


def _plus(field: Tensor, of_readout: Tensor, sign: int) -> Tensor:
    """A field with something added to channel 0, or taken off."""
    if len(field) == 1:
        return torch.add(field, of_readout, alpha=sign)
    return torch.cat([torch.add(field[:1], of_readout, alpha=sign), field[1:]])
