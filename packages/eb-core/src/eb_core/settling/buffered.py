"""The same steps in fixed buffers: states, memory and constants stay where they are, from batch to batch.

Units and memory have two buffers each: `write` puts the next state into the one that does not hold the present one, so
that all layers may be computed before any is written. After a few iterations the calls of one are noted (`Tape`) and
repeated. Layers of one channel lie samples innermost in memory: products of a wide and a narrow layer are then faster.

A step sees the phase through the view alone. One that reads `view.problem` or `view.prepared`, whose tensors are those
of one batch, is run as it stands. What was noted is compared with the step as it stands in two phases, and now and then
ever after.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import torch
from torch import Tensor

from eb_core.settling.constants import Constants
from eb_core.settling.matrices import Matrices
from eb_core.settling.noted import Key, Look, Name, Noted, agree
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.tape import Tape
from eb_core.settling.view import View

Step = Callable[[View], None]

ONCE = 40
"""Iterations of a view that serves one phase, or a part of one, before one is noted: fewer are not worth it."""


class BufferedView(View):
    """A view whose tensors keep their addresses; see `View` for what it offers.

    Args:
        eager: iterations that run as they stand before one is noted.
    """

    cost_of_selecting = 8

    def __init__(
        self, problem: Problem, start: State, generator: torch.Generator | None = None, eager: int = ONCE
    ) -> None:
        self._samples_inside = problem.energy.channels == 1
        self._tape: Tape | None = None
        super().__init__(problem, start, generator)
        self.constants = self.constants.map(self._own)
        self._constant_tensors = self.constants.tensors()
        self._pairs: dict[Name, list[Tensor]] = {}
        self._turns: dict[Name, int] = {}
        self._written: set[Name] = set()
        self._tapes: dict[Key, Noted] = {}
        self._looks: dict[tuple[object, Key, frozenset[str]], Look] = {}
        self._stepping: Step | None = None
        self._steps = False
        self._repeatable, self._lookable = True, True
        self._eager, self._age, self._phases = eager, 0, 0
        self._initial: State | None = None
        self._inference = torch.is_inference_mode_enabled()
        self._matrices = Matrices(self.network)
        self._products: dict[str, list[tuple[Tensor, str]]] = {}
        self._refresh()
        self._take()

    def suits(self, problem: Problem) -> bool:
        """Whether a phase is of the kind that this view was made for."""
        mine = self._problem
        if problem.network is not mine.network or problem.energy is not mine.energy or problem.phase != mine.phase:
            return False
        if problem.x.shape != mine.x.shape or problem.x.dtype != mine.x.dtype or problem.x.device != mine.x.device:
            return False
        if self._inference != torch.is_inference_mode_enabled():
            return False  # tensors of that mode cannot be written to outside it
        if (problem.nudge is None) != (mine.nudge is None) or problem.clamps.keys() != mine.clamps.keys():
            return False
        if problem.nudge is not None and mine.nudge is not None and problem.nudge.cost is not mine.nudge.cost:
            return False
        masks = [(clamp.mask, problem.clamps[name].mask) for name, clamp in mine.clamps.items()]
        return all((a is None) == (b is None) and (a is None or a.shape == b.shape) for a, b in masks)  # type: ignore[union-attr]

    def load(self, problem: Problem, start: State | None, generator: torch.Generator | None) -> None:
        """Fill the buffers for another phase of the same kind; without a start, from the initial state."""
        self._problem, self._source[:] = problem, [generator]
        self._phases += 1
        self._prepared.clear()
        new = Constants(problem, self.layers.values())
        for old, value in zip(self._constant_tensors, new.tensors(), strict=True):
            old.copy_(value)
        self._refresh()
        self._turns = dict.fromkeys(self._turns, 0)
        if start is None:
            self._initial = self._initial or attrs.evolve(problem, clamps={}).initial_state()
        first = start or self._initial
        assert first is not None
        self.units = {name: problem.apply_clamp(name, first.units[name]) for name in self.units}
        self.memory = dict(first.memory)
        self._take()
        self._forget_derived()
        self._tapes = {key: noted for key, noted in self._tapes.items() if noted.begin()}
        self._looks = {key: look for key, look in self._looks.items() if look.begin()}

    @property
    def like(self) -> Tensor:
        return self.constants.base[next(iter(self.layers))] if self.layers else self._problem.x

    @property
    def problem(self) -> Problem:
        """What is settled; a step that looks at it is not noted, because the next phase has another one."""
        self._not_fixed()
        return self._problem

    @property
    def prepared(self) -> dict[str, Any]:
        self._not_fixed()
        return self._prepared

    def _not_fixed(self) -> None:
        if self._tape is not None:
            self._tape.fixed = False

    def _own(self, value: Tensor) -> Tensor:
        """A copy in the layout of this view."""
        if value.ndim == 2 and self._samples_inside:
            return value.t().clone(memory_format=torch.contiguous_format).t()
        return value.clone(memory_format=torch.contiguous_format)

    def _refresh(self) -> None:
        """Read the matrices of all edges; where one has moved, nothing that was noted holds."""
        if self._matrices.refresh():
            self._forget_tapes()
            self._products = {name: self._matrices.terms(name, self.layers) for name in self.layers}

    def _forget_tapes(self) -> None:
        self._tapes.clear()
        self._looks.clear()

    def _sum(self, name: str, base: Tensor, feedback: bool = True) -> Tensor:
        if not feedback:
            self._not_fixed()
            return super()._sum(name, base, feedback)
        total = base
        for matrix, neighbour in self._products[name]:
            code = self._code(neighbour)
            if self._samples_inside:
                total = torch.addmm(total.t(), matrix.t(), code.t()).t()
            else:
                total = torch.addmm(total, code, matrix)
        return total

    def _couple(self, name: str, v: Tensor) -> Tensor:
        return sum((v @ matrix for matrix, near in self._products[name] if near == name), torch.zeros_like(v))

    def _shown(self) -> Iterable[tuple[Name, Tensor]]:
        """Every unit and memory tensor by name."""
        yield from ((("units", name), value) for name, value in self.units.items())
        yield from ((("memory", name), value) for name, value in self.memory.items())

    def _take(self) -> None:
        """Put what was written or remembered from outside a step, or twice in one, into the present buffers."""
        raw = {name: value for name, value in self._shown() if not self._is_present(name, value)}
        if not raw:
            return
        with contextlib.nullcontext() if self._tape is None else self._tape.paused():
            places = {buffer.untyped_storage().data_ptr() for pair in self._pairs.values() for buffer in pair}
            shared = [name for name, value in raw.items() if value.untyped_storage().data_ptr() in places]
        raw |= {name: raw[name].clone() for name in shared}  # it may be the buffer of another
        for name, value in raw.items():
            pair = self._pairs.get(name)
            if pair is None or pair[0].shape != value.shape or pair[0].dtype != value.dtype:
                self._pairs[name], self._turns[name] = [self._own(value), self._own(value)], 0
                self._forget_tapes()
                self._not_fixed()
            else:
                pair[self._turns[name]].copy_(value)
            kind, of = name
            (self.units if kind == "units" else self.memory)[of] = self._pairs[name][self._turns[name]]

    def _is_present(self, name: Name, value: Tensor) -> bool:
        return name in self._pairs and value is self._pairs[name][self._turns[name]]

    def _forget_derived(self) -> None:
        self._codes.clear()
        self._aims.clear()
        self._at_rest.clear()

    def _key(self) -> Key:
        return tuple((name, self._turns[name]) for name, _ in self._shown())

    def _place(self, name: str, value: Tensor) -> None:
        self.units[name] = self._next(("units", name), value)

    def remember(self, name: str, value: Tensor) -> None:
        self.memory[name] = self._next(("memory", name), value)

    def _next(self, name: Name, value: Tensor) -> Tensor:
        """Put the next value into the buffer that does not hold the present one, the first time in a step."""
        pair = self._pairs.get(name)
        if not self._steps or pair is None or name in self._written:
            return value
        if value.shape != pair[0].shape or value.dtype != pair[0].dtype:
            return value
        self._written.add(name)
        turn = 1 - self._turns[name]
        if self._tape is None or not self._tape.place(value, pair[turn]):
            pair[turn].copy_(value)
        self._turns[name] = turn
        return pair[turn]

    def _drawn(self, name: str, draw: Callable[..., Tensor]) -> Tensor:
        tape = self._tape
        if tape is None:
            return super()._drawn(name, draw)
        with tape.paused():
            like = self.units[name]
            noise = like.new_empty(self._full_batch, *like.shape[1:])
        source = self._source
        given = self._given
        tape.do(lambda: draw(noise, generator=given(source)), noise)
        return noise if self._rows is None else noise[self._rows]

    def run(self, step: Step, count: int) -> None:
        """So many iterations: as they stand at first, then as the calls that one of them consists of."""
        self._take()
        if self._stepping != step:
            self._forget_tapes()
            self._stepping = step
        noted, last = None, None
        while count:
            noted = self._tapes.get(last.end if last else self._key()) if self._repeatable else None
            if noted is not None and not noted.is_due(self._phases):
                noted.uses += 1
                for call in noted.calls:
                    call()
                last = noted
            else:
                if last:
                    self._arrive(last)
                    last = None
                if noted is None:
                    self._once(step)
                else:
                    self._prove(step, noted)
            count -= 1
        if last:
            self._arrive(last)

    def _arrive(self, noted: Noted) -> None:
        """Stand where an iteration that was repeated ends."""
        self._turns.update(noted.end)
        self.units = {name: self._pairs[kind, name][turn] for (kind, name), turn in noted.end if kind == "units"}
        self.memory = {name: self._pairs[kind, name][turn] for (kind, name), turn in noted.end if kind == "memory"}
        self._forget_derived()
        self._at_rest = set(noted.at_rest)

    def _once(self, step: Step) -> None:
        """One iteration as it stands, noted if it is time."""
        key = self._key()
        self._age += 1
        if not self._repeatable or self._age <= self._eager:
            self._as_it_stands(step)
            return
        tape = self._tape = Tape([buffer for pair in self._pairs.values() for buffer in pair])
        try:
            with tape:
                self._as_it_stands(step)
        finally:
            self._tape = None
        self._repeatable = tape.fixed
        if tape.fixed:
            at_rest = frozenset(self._at_rest)
            tape.close()
            self._forget_derived()
            self._at_rest = set(at_rest)
            self._tapes[key] = Noted(
                prologue=tape.prologue, guards=tape.guards, calls=tape.calls, end=self._key(), at_rest=at_rest
            )

    def _as_it_stands(self, step: Step) -> None:
        self._steps = True
        self._codes.clear()
        self._written.clear()
        try:
            step(self)
        finally:
            self._steps = False
        self._take()

    def _prove(self, step: Step, noted: Noted) -> None:
        """One iteration by its calls and as it stands, from the same state; the calls are dropped if these differ."""
        before = [(buffer, buffer.clone()) for name, _ in self._shown() for buffer in self._pairs[name]]
        source = self._source[0]
        drawn = None if source is None else source.get_state()
        for call in noted.calls:
            call()
        ends = {name: self._pairs[name][turn].clone() for name, turn in noted.end}
        for buffer, value in before:
            buffer.copy_(value)
        if source is not None and drawn is not None:
            source.set_state(drawn)
        self._as_it_stands(step)
        same = self._key() == noted.end and all(agree(ends[name], value) for name, value in self._shown())
        if same:
            noted.passed(self._phases)
        else:
            noted.failed(step)
            self._repeatable = False
            self._forget_tapes()

    def evaluate(self, function: Callable[[View], Tensor]) -> Tensor:
        self._take()
        key = function, self._key(), frozenset(self._at_rest)
        look = self._looks.get(key)
        if look is not None:
            for call in look.calls:
                call()
            look.uses += 1
            if look.is_due(self._phases):
                self._codes.clear()
                expected = function(self)
                if agree(look.result, expected):
                    look.passed(self._phases)
                else:
                    look.failed(function)
                    self._lookable = False
                    self._looks.clear()
                return expected
            return look.result
        if not self._lookable or self._tape is not None or self._age <= self._eager:
            return function(self)
        self._codes.clear()
        tape = self._tape = Tape([buffer for pair in self._pairs.values() for buffer in pair])
        try:
            with tape:
                result = function(self)
        finally:
            self._tape = None
        self._lookable = tape.fixed
        if tape.fixed:
            tape.close(result)
            self._codes.clear()
            self._looks[key] = Look(prologue=tape.prologue, guards=tape.guards, calls=tape.calls, result=result)
        return result

    def state(self) -> State:
        """The current state; it stays as it is."""
        return super().state().map(torch.clone)
