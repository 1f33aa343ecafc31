"""What does not change while one phase settles: constant fields, quadratic terms on the codes, clamps.

    1/2 <a_l, |u_l|^2> - <b_l, u_l>,   a, b per channel and unit

self-terms of edges    a = sum of `Edge.curvature` at the layer, in every channel
nudge                  (a, b) of `Nudge.quadratic` on channel 0 of the output: constant if the cost is quadratic, else
                       a is a bound, and the slope is read off the state
lateral edges          in a block update only: a = sum |J|, b = a u at the current u, so that F does not climb
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from eb_core.network.network import Layer
from eb_core.settling.nudge import Clamp, Nudge
from eb_core.settling.problem import Problem

_TABLES = ("base", "pulled", "self_terms", "slopes", "bounds", "majorants")


class Constants:
    """The constants of one phase: fields (channels * B, *shape), curvatures (channels, B or 1, *shape or 1s).

    Attributes:
        base: layer name -> bias and input drive; pulled: the same with b of a quadratic nudge.
        self_terms: layer name -> a of its edges.
        slopes: the same with a of a quadratic nudge: how the force falls with the code.
        bounds: the same with a of any nudge.
        majorants: layer name -> a of its lateral edges.
        bent: the nudge where its cost is not quadratic.
        clamps: layer name -> clamp, of layers that are clamped in part.
    """

    def __init__(self, problem: Problem, layers: Iterable[Layer]) -> None:
        network, nudge, self._channels = problem.network, problem.nudge, problem.energy.channels
        output = network.output
        self.base = {layer.name: self._in_first_channel(problem.constant_field(layer)) for layer in layers}
        self.self_terms: dict[str, Tensor] = {}
        self.majorants: dict[str, Tensor] = {}
        for name in self.base:
            own, lateral = network.curvature(name), network.lateral(name)
            if own is not None:
                self.self_terms[name] = own.expand(self._channels, 1, *own.shape)
            if lateral:
                size = torch.stack([edge.majorant(network.layers[name].shape) for edge in lateral]).sum(0)
                self.majorants[name] = size.expand(self._channels, 1, *size.shape)
        self.pulled, self.slopes, self.bounds = dict(self.base), dict(self.self_terms), dict(self.self_terms)
        self.bent: Nudge | None = None
        self.clamps = {name: problem.clamps[name] for name in self.base if name in problem.clamps}
        if nudge is not None and output in self.base:
            own = self.self_terms.get(output)
            bend = self._in_first_channel(nudge.curvature()).view(self._channels, -1, 1)
            self.bounds[output] = bend if own is None else bend + own
            closed = nudge.closed()
            if closed is None:
                self.bent = nudge
            else:
                self.slopes[output] = self.bounds[output]
                self.pulled[output] = self.base[output] + self._in_first_channel(closed[1])

    def _in_first_channel(self, value: Tensor) -> Tensor:
        """What acts on the read-out channel alone, with the channels stacked on the batch axis."""
        others = self._channels - 1
        return torch.cat([value, value.new_zeros(others * len(value), *value.shape[1:])]) if others else value

    def map(self, function: Callable[[Tensor], Tensor]) -> "Constants":
        """The constants with `function` applied once to every tensor."""
        new = object.__new__(Constants)
        images = {id(value): function(value) for value in self._of_tables()}
        new._channels = self._channels
        for table in _TABLES:
            setattr(new, table, {name: images[id(value)] for name, value in getattr(self, table).items()})
        bent = self.bent
        new.bent = bent and Nudge(bent.cost, function(bent.target), function(bent.beta))
        new.clamps = {
            name: Clamp(function(clamp.values), None if clamp.mask is None else function(clamp.mask))
            for name, clamp in self.clamps.items()
        }
        return new

    def _of_tables(self) -> list[Tensor]:
        """The tensors of the tables, each once: the same ones in every phase of a kind."""
        return list({id(value): value for table in _TABLES for value in getattr(self, table).values()}.values())

    def tensors(self) -> list[Tensor]:
        """Every tensor, in an order that depends on the kind of the phase alone."""
        bent = () if self.bent is None else (self.bent.target, self.bent.beta)
        clamps = [value for clamp in self.clamps.values() for value in (clamp.values, clamp.mask) if value is not None]
        return [*self._of_tables(), *bent, *clamps]
