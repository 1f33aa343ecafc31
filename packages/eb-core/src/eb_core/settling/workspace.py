"""The one mutable object of a relaxation: the current state, the fields, and what edges can share.

    g_l^c = b_l [c = 0] + sum_in drive_e(u_pre^c) + sum_out pullback_e(u_post^c; u_l^c)
    F as a function of layer l alone = self(s_l) - <g_l, u_l> + 1/2 <a_l, |u_l|^2> + beta C [l = output]

a_l are the self-terms of edges. A lateral edge is in the field like others; the minimum of a layer then majorises it.
`write` replaces a layer's tensor and never changes one in place, so autograd can follow a relaxation.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from eb_core.network.edge import Edge
from eb_core.network.network import Layer
from eb_core.physics.energy import Energy
from eb_core.registry import UsageError
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.terms import QuadraticTerms
from eb_core.settling.turns import minimized_in_turn

Order = Literal["colour", "forward"]
Pull = Callable[[Tensor, Tensor], Tensor]


class Workspace:
    """The current state of a problem, with the local quantities that every dynamics is made of.

    Args:
        start: where to begin; clamped units are replaced by their values.
        generator: the source of all noise.

    Attributes:
        units: layer name -> (B, *shape), the current states; replace them with `write`.
        memory: what the dynamics keeps beside them, batch-first tensors by name; replace them with `remember`.
        active: samples that still move (B,) bool, or None while all do.
        terms: quadratic terms of the layers beside their fields.
        plan: whatever a relaxer prepares once for this workspace.
        buffered: whether the units are views of buffers that the plan writes into; a state is then a copy.
    """

    def __init__(self, problem: Problem, start: State, generator: torch.Generator | None = None) -> None:
        self.problem = problem
        self.energy = problem.energy
        self.layers = {layer.name: layer for layer in problem.free_layers}
        self.units = {name: _channels_last(problem.apply_clamp(name, value)) for name, value in start.units.items()}
        self.memory = dict(start.memory)
        self._generator = generator
        self._full_batch = problem.batch
        self._rows: Tensor | None = None
        self.active: Tensor | None = None
        self.plan: Any = None
        self.buffered = False
        self._codes: dict[str, Tensor] = {}
        self._has_force = problem.energy.differentiable
        self._is_own_code = type(problem.energy).encode is Energy.encode
        self._orders: dict[Order, list[str]] = {}
        self._driven: dict[str, tuple[Tensor, Any]] = {}
        network = problem.network
        ends = {name: (network.incoming(name), network.outgoing(name)) for name in self.layers}
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
        self._base = {
            name: _channels_last(self._stacked(problem.constant_field(layer))) for name, layer in self.layers.items()
        }
        self.terms = QuadraticTerms(problem, self.layers.values())

    def _stacked(self, drive: Tensor) -> Tensor:
        """Input drives act on channel 0; the channels are stacked on the batch axis."""
        others = self.energy.channels - 1
        return drive if not others else torch.cat([drive, drive.new_zeros(others * len(drive), *drive.shape[1:])])

    def order(self, order: Order = "colour") -> list[str]:
        """Free layers in the order of one sweep: colour by colour, or from the first to the last."""
        if order not in self._orders:
            groups = [self.layers] if order == "forward" else self.problem.network.colours(self.layers)
            self._orders[order] = [name for group in groups for name in group]
        return self._orders[order]

    def constant_field(self, name: str) -> Tensor:
        """What does not change while a layer settles: bias and input drive, (channels * B, *shape)."""
        return self._base[name]

    def _code(self, name: str) -> Tensor:
        """encode(s) of a layer, (channels * B, *shape)."""
        if self._is_own_code:
            return self.units[name]
        if name not in self._codes:
            layer = self.problem.network.layers[name]
            self._codes[name] = self.energy.encode(layer, self.units[name]).flatten(0, 1)
        return self._codes[name]

    def _by_channel(self, stacked: Tensor) -> Tensor:
        """(channels * B, *shape) as (channels, B, *shape)."""
        channels = self.energy.channels
        return stacked.unsqueeze(0) if channels == 1 else stacked.view(channels, -1, *stacked.shape[1:])

    def _channel_code(self, name: str) -> Tensor:
        """encode(s) of a layer, (channels, B, *shape), of one channel (B, *shape)."""
        code = self._code(name)
        return code if self.energy.channels == 1 else self._by_channel(code)

    def _share(self, edge: Edge) -> tuple[Tensor, Any]:
        """Drive and context of an edge that is not linear, computed once for both of its sides."""
        key = f"{edge.pre}-{edge.post}"
        if key not in self._driven:
            self._driven[key] = edge.drive_and_context(self._code(edge.pre))
        return self._driven[key]

    def field(self, name: str, feedback: bool = True) -> Tensor:
        """Local field of a layer, (channels, B, *shape); the nudge is not in it.

        `feedback=False` leaves out what later layers send back, and lateral edges: the field of a feed-forward net.
        """
        total = self._base[name]
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
        return self._by_channel(total)

    def force(self, name: str, field: Tensor | None = None) -> Tensor:
        """-dF/ds of a layer, the nudge included; `field` replaces the local field (noise, say).

        Raises:
            UsageError: the energy has no derivative.
        """
        layer, s = self.layers[name], self.units[name]
        if not self._has_force:
            raise UsageError(
                f"units of {type(self.energy).__name__} have no force: their energy has no derivative",
                advice="use a relaxer that needs none (needs_force = False)",
            )
        field = self.field(name) if field is None else field
        if name in self.terms.bent:
            field = self.terms.in_force(name, field, self._channel_code(name))
        return self.energy.force(layer, s, field)

    def minimized(
        self, name: str, field: Tensor | None = None, iterated_nudge: bool = False, majorised: bool = True
    ) -> Tensor:
        """`Energy.minimize_unit` of a layer with its neighbours fixed, the nudge included.

        Units that a lateral edge joins are neighbours, too: the edge is majorised at the current state, so that all
        units move at once and F does not climb. Spins, which would never move then, take turns. `majorised=False` gives
        the minimum of each unit with all others fixed.
        """
        layer, s, field = self.layers[name], self.units[name], self.field(name) if field is None else field
        if name not in self.terms.in_block:
            return self.energy.minimize_unit(layer, field, s)
        code = self._channel_code(name)
        takes_turns = majorised and name in self.terms.majorants and not self._has_force
        field, bend = self.terms.in_minimum(name, field, code, iterated_nudge, majorised and not takes_turns)
        if takes_turns:
            return minimized_in_turn(self.problem, layer, field, s, bend)
        return self.energy.minimize_unit(layer, field, s, bend)

    def write(self, name: str, value: Tensor) -> None:
        """Replace the state of a layer; clamped units and frozen samples keep theirs."""
        if self.problem.clamps:
            value = self.problem.apply_clamp(name, value)
        if self.active is not None:
            value = torch.where(self.active.view(-1, *[1] * (value.ndim - 1)), value, self.units[name])
        self.units[name] = value
        self._codes.pop(name, None)
        for edge in self._bent[name]:
            if edge.pre == name:
                self._driven.pop(f"{edge.pre}-{edge.post}", None)

    def remember(self, name: str, value: Tensor) -> None:
        """Replace a tensor of the memory; frozen samples keep theirs."""
        old = self.memory.get(name)
        if self.active is not None and old is not None:
            value = torch.where(self.active.view(-1, *[1] * (value.ndim - 1)), value, old)
        self.memory[name] = value

    def residual(self) -> Tensor:
        """max over free units of |P(s - dF/ds) - s| for each sample, (B,); unit step, P the projection."""
        steps = [self._step(name, self.field(name)) for name in self.layers]
        return torch.stack(steps).amax(0) if steps else self.problem.x.new_zeros(self.problem.batch)

    def _step(self, name: str, field: Tensor) -> Tensor:
        """max |P(s - dF/ds) - s| over the units of one layer, (B,); without derivative, of a unit to its minimum."""
        s = self.units[name]
        if self._has_force:
            moved = self.energy.domain(self.layers[name]).project(s + self.force(name, field))
        else:
            moved = self.minimized(name, field, majorised=False)
        return (self.problem.apply_clamp(name, moved) - s).abs().flatten(1).amax(1)

    def measure(self) -> tuple[Tensor, Tensor]:
        """Residual and energy E of each sample, (B,) each, from one evaluation of the fields.

        Drives are homogeneous in u_pre, so that <g_l, u_l> counts every edge once at either end:
        E = sum_l self(s_l) - 1/2 <g_l + b_l - a_l u_l, u_l> + input, with b_l the bias and what the input drives.
        """
        if self.problem.clamps:
            return self.residual(), self.problem.total_energy(self.state())
        steps, energies = [], [self.problem.input_energy()]
        for name, layer in self.layers.items():
            field, code = self.field(name), self._by_channel(self._code(name))
            steps.append(self._step(name, field))
            both = field + self._by_channel(self._base[name])
            if name in self.terms.self_terms:
                both = both - self.terms.self_terms[name] * code
            alone = self.energy.self_energy(layer, self.units[name])
            energies.append(alone.flatten(1).sum(1) - 0.5 * (both * code).transpose(0, 1).flatten(1).sum(1))
        return torch.stack(steps).amax(0), torch.stack(energies).sum(0)

    def normal(self, name: str) -> Tensor:
        """Standard normal noise for a layer. Drawn for the whole batch, so it does not depend on who is still moving.

        Raises:
            UsageError: no generator was given; nothing here draws from the global one.
        """
        return self._drawn(name, torch.randn)

    def uniform(self, name: str) -> Tensor:
        """Uniform noise in [0, 1) for a layer, drawn as `normal` is."""
        return self._drawn(name, torch.rand)

    def _drawn(self, name: str, draw: Callable[..., Tensor]) -> Tensor:
        if self._generator is None:
            raise UsageError(
                "this dynamics draws noise and got no generator", advice="pass generator=torch.Generator()"
            )
        like = self.units[name]
        noise = draw(self._full_batch, *like.shape[1:], generator=self._generator, dtype=like.dtype, device=like.device)
        return noise if self._rows is None else noise[self._rows]

    def state(self) -> State:
        """The current state; it stays as it is."""
        units = {name: value.clone() for name, value in self.units.items()} if self.buffered else dict(self.units)
        return State(units, dict(self.memory))

    def freeze(self, settled: Tensor) -> None:
        """Keep the units of these samples (B,) bool as they are from now on."""
        self.active = ~settled if self.active is None else self.active & ~settled

    def release(self) -> None:
        """Drop the plan at the end of a relaxation: it may point back here, and a cycle would keep all buffers."""
        self.plan = None
        self.buffered = False

    def select(self, rows: Tensor) -> "Workspace":
        """A workspace of the samples at `rows` alone."""
        part = Workspace(self.problem.select(rows), self.state().select(rows), self._generator)
        part._full_batch = self._full_batch
        everyone = torch.arange(self._full_batch, device=rows.device) if self._rows is None else self._rows
        part._rows = everyone[rows]
        return part


def records_or_rounds(work: Workspace) -> bool:
    """Whether autograd follows, or autocast rounds products: kernels that write into buffers pass both by."""
    return torch.is_grad_enabled() or torch.is_autocast_enabled(work.problem.x.device.type)


def _channels_last(value: Tensor) -> Tensor:
    """Images in the layout of convolutions: elementwise steps keep that of their first operand."""
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value


__all__ = ["Layer", "Order", "Workspace", "records_or_rounds"]
