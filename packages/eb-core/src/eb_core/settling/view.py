"""What a dynamics sees of one phase: the current state with its fields, and where to put the next one.

This view is the recorded one: `write` replaces a layer's tensor and changes none in place, so autograd can follow.
`settling/buffered.py` runs the same steps in fixed buffers.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import ClassVar, overload

import torch
from torch import Tensor

from eb_core.physics.stiffness import largest_stiffness
from eb_core.registry import UsageError
from eb_core.settling.fields import Fields
from eb_core.settling.problem import Problem
from eb_core.settling.state import State


class View(Fields):
    """The current state of a problem, what a dynamics remembers beside it, and its noise.

    Args:
        start: where to begin; clamped units are replaced by their values.
        generator: the source of all noise.

    Attributes:
        memory: what the dynamics keeps beside the units, batch-first tensors by name; replace them with `remember`.
    """

    cost_of_selecting: ClassVar[float] = 0
    """What `select` costs, in iterations: samples that have settled stay until they have cost as much."""

    def __init__(self, problem: Problem, start: State, generator: torch.Generator | None = None) -> None:
        super().__init__(problem, start)
        self.memory = dict(start.memory)
        self._source = [generator]
        self._full_batch = problem.batch
        self._rows: Tensor | None = None
        self._at_rest: set[str] = set()

    def pull(
        self, name: str, field: Tensor | None = None, iterated_nudge: bool = False, majorised: bool = True
    ) -> Tensor:
        """-dF/ds scaled as if nothing had been added to the unit's own curvature c: force c / (c + a), (B, *shape).

        a is what `curvature` says; where c is 0, the force is divided by a. Of units with self-energy s^2 / 2 it is
        what they lack of their minimum, and a step along it suits the curvature whatever edges and nudge add.
        """
        force, share = self.force(name, field), self._share_of(name, iterated_nudge, majorised)
        return force if share is None else force * share

    def towards(
        self,
        name: str,
        step: float | Tensor,
        field: Tensor | None = None,
        iterated_nudge: bool = False,
        majorised: bool = True,
    ) -> Tensor:
        """s + step * `pull`, (B, *shape), in fewer operations where units are quadratic.

        Args:
            name: name of the layer.
            step: one for all samples, or (B,).
            field: replaces the local field, (channels, B, *shape).
            iterated_nudge: whether the a of `pull` leaves out the curvature of the nudge.
            majorised: whether the a of `pull` includes the majorants of lateral edges.
        """
        s, share = self.units[name], self._share_of(name, iterated_nudge, majorised)
        steered = self._is_bent_by_nudge(name) or (iterated_nudge and self._is_nudged(name))
        step = self.spread(step, s)
        if self.is_quadratic and not steered and name not in self.constants.majorants:
            target = self._pulled(name, field)[0]
            target = target if share is None else target * share
            return torch.lerp(s, target if target.dtype == s.dtype else target.to(s.dtype), step)
        pull = self.pull(name, field, iterated_nudge, majorised)
        return torch.addcmul(s, pull, step) if isinstance(step, Tensor) else torch.add(s, pull, alpha=step)

    def _share_of(self, name: str, iterated_nudge: bool, majorised: bool) -> Tensor | None:
        """c / (c + a), (B or 1, …); 0 where F has no minimum in a unit; None for 1."""
        bend = self.curvature(name, iterated_nudge, majorised)
        if bend is None:
            return None
        whole = self.stiffness + bend.amax(0)
        return torch.where(whole > 0, (self.stiffness or 1.0) / whole, 0.0)

    @cached_property
    def stiffness(self) -> float:
        """c: the largest self''(s) of hidden and output units; see `largest_stiffness`."""
        return largest_stiffness(self.energy)

    def write(self, name: str, value: Tensor) -> None:
        """Replace the state of a layer; clamped units keep theirs."""
        clamp = self.constants.clamps.get(name)
        settled = self._aims.pop(name, None) is value
        self._place(name, value if clamp is None else clamp.apply(value))
        self._at_rest -= self._neighbours[name]
        for neighbour in self._neighbours[name]:
            self._aims.pop(neighbour, None)
        (self._at_rest.add if settled else self._at_rest.discard)(name)
        self._codes.pop(name, None)
        for edge in self._bent[name]:
            if edge.pre == name:
                self._driven.pop(f"{edge.pre}-{edge.post}", None)

    def _place(self, name: str, value: Tensor) -> None:
        self.units[name] = value

    def remember(self, name: str, value: Tensor) -> None:
        """Replace a tensor of the memory, batch first."""
        self.memory[name] = value

    def forget(self, name: str) -> None:
        """Drop a tensor of the memory, if it is there."""
        self.memory.pop(name, None)

    def run(self, step: "Callable[[View], None]", count: int) -> None:
        """So many iterations."""
        for _ in range(count):
            step(self)

    def evaluate(self, function: "Callable[[View], Tensor]") -> Tensor:
        """What a function of the present state gives; where steps are noted, so is this."""
        return function(self)

    def residual(self) -> Tensor:
        """max over free units of |P(s - dF/ds) - s| for each sample, (B,); unit step, P the projection.

        Layers that have been put to their exact minimum after all their neighbours have none.
        """
        steps = [self._step(name) for name in self.layers if name not in self._at_rest]
        if not steps:
            return self.like.new_zeros(self.batch)
        return steps[0] if len(steps) == 1 else torch.stack(steps).amax(0)

    def _step(self, name: str, field: Tensor | None = None) -> Tensor:
        """max |P(s - dF/ds) - s| over the units of one layer, (B,); without derivative, of a unit to its minimum."""
        s, clamp = self.units[name], self.constants.clamps.get(name)
        if not self._has_force:
            moved = self.minimized(name, field, majorised=False)
            moved = moved if clamp is None else clamp.apply(moved)
        elif self.is_quadratic and name not in self.constants.slopes and not self._is_bent_by_nudge(name):
            moved = self.project(name, self._pulled(name, field)[0])
        else:
            moved = self.project(name, s + self.force(name, field))
        return (moved - s).abs().flatten(1).amax(1)

    def measure(self) -> tuple[Tensor, Tensor]:
        """Residual and energy E of each sample, (B,) each, from one evaluation of the fields.

        Drives are homogeneous in u_pre, so that <g_l, u_l> counts every edge once at either end:
        E = sum_l self(s_l) - 1/2 <g_l + b_l - a_l u_l, u_l> + input, with b_l the bias and what the input drives.
        """
        if self.problem.clamps:
            return self.residual(), self.problem.total_energy(self.state())
        steps, energies = [], [self.problem.input_energy()]
        for name, layer in self.layers.items():
            field, code = self.field(name), self.code(name)
            steps.append(self._step(name, field))
            both = field + self._by_channel(self.constants.base[name])
            if name in self.constants.self_terms:
                both = both - self.constants.self_terms[name] * code
            alone = self.energy.self_energy(layer, self.units[name])
            energies.append(alone.flatten(1).sum(1) - 0.5 * (both * code).transpose(0, 1).flatten(1).sum(1))
        return torch.stack(steps).amax(0), torch.stack(energies).sum(0)

    @property
    def like(self) -> Tensor:
        """A tensor of the dtype and on the device of the states."""
        return self._problem.x

    @property
    def device(self) -> torch.device:
        """Where the states lie."""
        return self._problem.x.device

    def held(self, name: str) -> Tensor | None:
        """Which units of a layer are clamped, bool that broadcasts to (B, *shape), or None."""
        clamp = self.constants.clamps.get(name)
        return None if clamp is None else clamp.mask

    @overload
    def spread(self, value: Tensor, like: Tensor) -> Tensor: ...
    @overload
    def spread(self, value: float | Tensor, like: Tensor) -> float | Tensor: ...
    def spread(self, value: float | Tensor, like: Tensor) -> float | Tensor:
        """A value for each sample, (B,), in the shape (B, 1, …) that goes with `like`; floats as they are."""
        return value.view(-1, *[1] * (like.ndim - 1)) if isinstance(value, Tensor) else value

    def normal(self, name: str) -> Tensor:
        """Standard normal noise for a layer. Drawn for the whole batch, so it does not depend on who is still moving.

        Raises:
            UsageError: no generator was given; nothing here draws from the global one.
        """
        return self._drawn(name, torch.Tensor.normal_)

    def uniform(self, name: str) -> Tensor:
        """Uniform noise in [0, 1) for a layer, drawn as `normal` is."""
        return self._drawn(name, torch.Tensor.uniform_)

    def _drawn(self, name: str, draw: Callable[..., Tensor]) -> Tensor:
        generator, like = self._given(self._source), self.units[name]
        noise = like.new_empty(self._full_batch, *like.shape[1:])
        draw(noise, generator=generator)
        return noise if self._rows is None else noise[self._rows]

    @staticmethod
    def _given(source: Sequence[torch.Generator | None]) -> torch.Generator:
        if source[0] is None:
            raise UsageError(
                "this dynamics draws noise and got no generator", advice="pass generator=torch.Generator()"
            )
        return source[0]

    def state(self) -> State:
        """The current state; it stays as it is."""
        return State(dict(self.units), dict(self.memory))

    def latched(self, out: Tensor, before: State | None) -> State:
        """The current state, but of the samples that are `out`, (B,) bool, the one from before."""
        now = State(self.units, self.memory)
        return self.state() if before is None else State.where(out, before, now)

    def select(self, rows: Tensor) -> "View":
        """A view of the samples at `rows` alone."""
        part = type(self)(self._problem.select(rows), State(self.units, self.memory).select(rows), self._source[0])
        part._full_batch = self._full_batch
        everyone = torch.arange(self._full_batch, device=rows.device) if self._rows is None else self._rows
        part._rows = everyone[rows]
        return part
