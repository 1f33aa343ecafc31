"""Fields, forces and minima of layers at the current state.

    g_l^c = b_l [c = 0] + sum_in drive_e(u_pre^c) + sum_out pullback_e(u_post^c; u_l^c)
    F as a function of layer l alone = self(s_l) - <g_l, u_l> + 1/2 <a_l, |u_l|^2> + beta C [l = output]

a_l are the self-terms of edges. A lateral edge is in the field like others; the minimum of a layer then majorises it.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor

from eb_core.network.edge import Edge
from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.registry import UsageError
from eb_core.settling.constants import Constants
from eb_core.settling.problem import Phase, Problem
from eb_core.settling.state import State
from eb_core.settling.turns import minimized_in_turn

Order = Literal["colour", "forward"]
Pull = Callable[[Tensor, Tensor], Tensor]


class Fields:
    """The local quantities that every dynamics is made of, at the current state of a problem.

    Attributes:
        units: layer name -> (B, *shape), the current states.
        layers: layer name -> layer, of those that settle.
        constants: what does not change during the phase.
    """

    def __init__(self, problem: Problem, start: State) -> None:
        self._problem = problem
        self._prepared: dict[str, Any] = {}
        self.network: Network = problem.network
        self.energy: Energy = problem.energy
        self.layers = {layer.name: layer for layer in problem.free_layers}
        self.units = {name: _channels_last(problem.apply_clamp(name, value)) for name, value in start.units.items()}
        self._codes: dict[str, Tensor] = {}
        self._aims: dict[str, Tensor] = {}
        self._has_force = problem.energy.differentiable
        self._is_own_code = type(problem.energy).encode is Energy.encode
        self._orders: dict[Order, list[str]] = {}
        self._driven: dict[str, tuple[Tensor, Any]] = {}
        ends = {name: (self.network.incoming(name), self.network.outgoing(name)) for name in self.layers}
        self._forward: dict[str, list[tuple[Pull, str]]] = {
            name: [(edge.drive, edge.pre) for edge in incoming if edge.linear] for name, (incoming, _) in ends.items()
        }
        self._backward: dict[str, list[tuple[Pull, str]]] = {
            name: [(edge.pullback, edge.post) for edge in outgoing if edge.linear]
            for name, (_, outgoing) in ends.items()
        }
        self._bent = {
            name: [edge for edge in (*incoming, *outgoing) if not edge.linear]
            for name, (incoming, outgoing) in ends.items()
        }
        self._neighbours = {
            name: {edge.pre for edge in incoming} | {edge.post for edge in outgoing}
            for name, (incoming, outgoing) in ends.items()
        }
        self.constants = Constants(problem, self.layers.values()).map(_channels_last)

    @property
    def problem(self) -> Problem:
        """What is settled."""
        return self._problem

    @property
    def batch(self) -> int:
        """Number of samples."""
        return self._problem.batch

    @property
    def prepared(self) -> dict[str, Any]:
        """Whatever a dynamics computes once in a phase; it is empty at the start, and where samples leave."""
        return self._prepared

    @property
    def phase(self) -> Phase:
        """Which kind of phase it is."""
        return self._problem.phase

    def order(self, order: Order = "colour") -> list[str]:
        """Free layers in the order of one sweep: colour by colour, or from the first to the last."""
        if order not in self._orders:
            groups = [self.layers] if order == "forward" else self.network.colours(self.layers)
            self._orders[order] = [name for group in groups for name in group]
        return self._orders[order]

    def _code(self, name: str) -> Tensor:
        """encode(s) of a layer, (channels * B, *shape)."""
        if self._is_own_code:
            return self.units[name]
        if name not in self._codes:
            self._codes[name] = self.energy.encode(self.network.layers[name], self.units[name]).flatten(0, 1)
        return self._codes[name]

    def _by_channel(self, stacked: Tensor) -> Tensor:
        """(channels * B, *shape) as (channels, B, *shape)."""
        channels = self.energy.channels
        return stacked.unsqueeze(0) if channels == 1 else stacked.view(channels, -1, *stacked.shape[1:])

    def code(self, name: str) -> Tensor:
        """encode(s) of a layer, (channels, B, *shape)."""
        return self._by_channel(self._code(name))

    def _share(self, edge: Edge) -> tuple[Tensor, Any]:
        """Drive and context of an edge that is not linear, computed once for both of its sides."""
        key = f"{edge.pre}-{edge.post}"
        if key not in self._driven:
            self._driven[key] = edge.drive_and_context(self._code(edge.pre))
        return self._driven[key]

    def _sum(self, name: str, base: Tensor, feedback: bool = True) -> Tensor:
        """`base` and what the neighbours of a layer add to it, (channels * B, *shape)."""
        total = base
        for drive, pre in self._forward[name]:
            if feedback or pre != name:
                total = drive(self._code(pre), total)
        if feedback:
            for pullback, post in self._backward[name]:
                total = pullback(self._code(post), total)
        for edge in self._bent[name]:
            drive_of_pre, context = self._share(edge)
            if edge.post == name:
                total = total + drive_of_pre
            elif feedback:
                total = edge.pullback(self._code(edge.post), total, context)
        return total

    def _couple(self, name: str, v: Tensor) -> Tensor:
        """J v of the lateral edges of a layer."""
        return sum((edge.pullback(v, edge.drive(v)) for edge in self.network.lateral(name)), torch.zeros_like(v))

    def field(self, name: str, feedback: bool = True) -> Tensor:
        """Local field of a layer, (channels, B, *shape); the nudge is not in it.

        `feedback=False` leaves out what later layers send back, and lateral edges: the field of a feed-forward net.
        """
        return self._by_channel(self._sum(name, self.constants.base[name], feedback))

    def _pulled(self, name: str, field: Tensor | None) -> Tensor:
        """The local field with b of a quadratic nudge, (channels, B, *shape)."""
        if field is None:
            return self._by_channel(self._sum(name, self.constants.pulled[name]))
        base, pulled = self.constants.base[name], self.constants.pulled[name]
        return field if pulled is base else field + self._by_channel(pulled - base)

    def effective_field(self, name: str, field: Tensor | None = None) -> Tensor:
        """-dF/du of all but the self-energy, (channels, B, *shape): the local field less a u, with the nudge."""
        code, total, bend = self.code(name), self._pulled(name, field), self.constants.slopes.get(name)
        if bend is not None:
            total = torch.addcmul(total, bend, code, value=-1)
        bent = self.constants.bent
        if bent is not None and self._is_bent_by_nudge(name):
            total = _plus(total, bent.slope(code[0]), -1)
        return total

    def force(self, name: str, field: Tensor | None = None) -> Tensor:
        """-dF/ds of a layer, the nudge included, (B, *shape); `field` replaces the local field (noise, say).

        Raises:
            UsageError: the energy has no derivative.
        """
        if not self._has_force:
            raise UsageError(
                f"units of {type(self.energy).__name__} have no force: their energy has no derivative",
                advice="use a relaxer whose properties say needs_force=False",
            )
        total = self.effective_field(name, field)
        return self.energy.force(self.layers[name], self.units[name], total, self.code(name))

    def minimized(
        self, name: str, field: Tensor | None = None, iterated_nudge: bool = False, majorised: bool = True
    ) -> Tensor:
        """`Energy.minimize_unit` of a layer with its neighbours fixed, the nudge included, (B, *shape).

        Units that a lateral edge joins are neighbours, too: the edge is majorised at the current state, so that all
        units move at once and F does not climb. Spins, which would never move then, take turns.

        Args:
            name: name of the layer.
            field: replaces the local field (noise, say).
            iterated_nudge: minimise under the slope of the nudge at the current read-out, b = -beta dC/dr: EBL's
                update, same fixed point, other path.
            majorised: False gives the minimum of each unit with all others fixed.
        """
        layer, s = self.layers[name], self.units[name]
        iterated, lateral = iterated_nudge and self._is_nudged(name), name in self.constants.majorants and majorised
        total, bend = self._pulled(name, field), self.curvature(name, iterated, majorised)
        if iterated or self._is_bent_by_nudge(name):
            total = self._at_read_out(name, total, iterated)
        if lateral and not self._has_force:
            clamp = self.constants.clamps.get(name)
            return minimized_in_turn(
                self.energy,
                layer,
                partial(self._couple, name),
                total,
                s,
                bend,
                lambda new: clamp.apply(new) if clamp else new,
            )
        if lateral:
            total = torch.addcmul(total, self.constants.majorants[name], self.code(name))
        aim = self.energy.minimize_unit(layer, total, s, bend)
        if field is None and not iterated and self._is_exact(name):
            self._aims[name] = aim
        return aim

    def curvature(self, name: str, iterated_nudge: bool = False, majorised: bool = True) -> Tensor | None:
        """What edges and the nudge add to the curvature of a unit in a block update, (channels, B or 1, …), or None."""
        constants = self.constants
        bend = (constants.self_terms if iterated_nudge else constants.bounds).get(name)
        majorant = constants.majorants.get(name) if majorised and self._has_force else None
        if majorant is None:
            return bend
        return majorant if bend is None else bend + majorant

    def _is_nudged(self, name: str) -> bool:
        """Whether the nudge acts on this layer."""
        return self._problem.nudge is not None and name == self.network.output

    def _is_bent_by_nudge(self, name: str) -> bool:
        """Whether a nudge acts on this layer whose cost is not quadratic."""
        return self.constants.bent is not None and name == self.network.output

    def _at_read_out(self, name: str, total: Tensor, iterated: bool) -> Tensor:
        """The field with the part of the nudge that depends on the present read-out."""
        bent, code = self.constants.bent, self.code(name)
        if bent is None:
            bend, own = self.constants.slopes[name], self.constants.self_terms.get(name)
            return torch.addcmul(total, bend if own is None else bend - own, code, value=-1)
        b = -bent.slope(code[0])
        return _plus(total, b if iterated else torch.addcmul(b, bent.curvature(), code[0]), 1)

    def _is_exact(self, name: str) -> bool:
        """Whether a minimum of this layer under its field is one of F, and not of a majorant."""
        constants = self.constants
        if not self.energy.minimizes_exactly or name in constants.majorants or name in constants.clamps:
            return False
        return not self._bent[name] and not self._is_bent_by_nudge(name)

    @cached_property
    def is_quadratic(self) -> bool:
        """Whether units are their own code with self-energy s^2 / 2: -dE/ds is field - s."""
        kind = type(self.energy)
        if (kind.encode, kind.encode_vjp, kind.force) != (Energy.encode, Energy.encode_vjp, Energy.force):
            return False
        return all(
            self.energy.self_derivative(layer, self.units[name]) is self.units[name]
            for name, layer in self.layers.items()
        )

    def project(self, name: str, value: Tensor) -> Tensor:
        """The nearest allowed state of a layer, elementwise: in its domain, clamped units at their values."""
        inside, clamp = self.energy.domain(self.layers[name]).project(value), self.constants.clamps.get(name)
        return inside if clamp is None else clamp.apply(inside)


def _plus(field: Tensor, of_readout: Tensor, sign: int) -> Tensor:
    """A field with something added to channel 0, or taken off."""
    if len(field) == 1:
        return torch.add(field, of_readout, alpha=sign)
    return torch.cat([torch.add(field[:1], of_readout, alpha=sign), field[1:]])


def _channels_last(value: Tensor) -> Tensor:
    """Images in the layout of convolutions: elementwise steps keep that of their first operand."""
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
