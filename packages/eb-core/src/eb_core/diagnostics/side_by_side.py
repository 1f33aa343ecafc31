"""Several relaxers on one problem, from one start, with one budget: what `eb relax` shows.

Energy and residual along the way come from a traced relaxation, seconds from untraced ones of the same length, one
relaxer after the other in every repeat, so that a load on the machine falls on all of them.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import attrs
import torch
from torch import Tensor

from eb_core.registry import UsageError
from eb_core.registry.options import evolve, fields
from eb_core.settling.buffers import Buffers
from eb_core.settling.iterative import IterativeRelaxer
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
WARM = 3
"""Relaxations before the first that is timed."""
ELSEWHERE = 1e-2
"""A sample further than this from the best state is said to be in another minimum, or not there yet."""


@attrs.frozen(eq=False)
class Way:
    """How one relaxer went, and where it ended.

    Args:
        energy: F of each sample after 0, 1, … iterations, (iterations + 1, B); the end alone without a trace.
        residual: max |P(s - dF/ds) - s|, of the same shape.
        seconds: median time of the whole relaxation without trace.
        distance: of each sample's state from the best one that any of the relaxers reached (B,).
    """

    name: str
    state: State
    energy: Tensor
    residual: Tensor
    seconds: float
    distance: Tensor

    @property
    def steps(self) -> int:
        """Iterations that it ran; 0 if it left no trace."""
        return len(self.energy) - 1

    def iterations_to(self, tolerance: float) -> int | None:
        """Iterations until every sample has had a residual of at most `tolerance`; None if not all have."""
        under = self.residual <= tolerance
        if not bool(under.any(0).all()):
            return None
        return int(under.int().argmax(0).max())

    def seconds_at(self, iterations: int) -> float:
        """The share of `seconds` that so many iterations take."""
        return self.seconds * iterations / max(self.steps, 1)


def with_budget(relaxer: Relaxer, steps: int) -> Relaxer:
    """The same dynamics, always running `steps` iterations; options that a relaxer does not have are left out.

    Raises:
        UsageError: its other options do not allow that number.
    """
    budget = {"steps": steps, "nudged_steps": steps, "tol": 0.0, "nudged_tol": None}
    known = {field.name for field, _ in fields(type(relaxer))}
    try:
        return evolve(relaxer, **{name: value for name, value in budget.items() if name in known})
    except ValueError as error:
        raise UsageError(
            f"{type(relaxer).__name__} cannot run {steps} iterations: {error}",
            origin=f"--steps {steps}",
            advice="change the number, or the option",
        ) from None


@torch.no_grad()
def side_by_side(
    relaxers: Mapping[str, Relaxer],
    problem: Problem,
    start: State,
    *,
    repeats: int,
    generator: Callable[[], torch.Generator],
    watch: Callable[[str], None] = lambda what: None,
) -> list[Way]:
    """Settle `problem` from `start` with each relaxer.

    Args:
        relaxers: made by `with_budget`, all with the same one.
        problem: the phase to settle, free or nudged.
        start: where every relaxation begins.
        repeats: timed relaxations of each.
        generator: makes the source of noise, the same for every relaxation.
        watch: told what is being done.
    """
    traced = {}
    for name, relaxer in relaxers.items():
        watch(f"{name}: energy and residual")
        end = relaxer.relax(problem, start, generator=generator(), trace=True)
        energy = problem.objective(end.state).unsqueeze(0) if end.trace is None else end.trace.energy
        residual = end.residual.unsqueeze(0) if end.trace is None else end.trace.residual
        traced[name] = (end.state, energy, residual)
    seconds: dict[str, list[float]] = {name: [] for name in relaxers}
    settle = {name: _as_in_a_session(relaxer) for name, relaxer in relaxers.items()}
    for relax in settle.values():
        for _ in range(WARM):
            relax(problem, start, generator=generator())
    for repeat in range(repeats):
        for name, relax in settle.items():
            watch(f"{name}: seconds, repeat {repeat + 1} of {repeats}")
            source = generator()
            started = time.perf_counter()
            relax(problem, start, generator=source)
            seconds[name].append(time.perf_counter() - started)
    winner = torch.stack([energy[-1].nan_to_num(nan=torch.inf) for _, energy, _ in traced.values()]).argmin(0)
    best = _pick([state for state, _, _ in traced.values()], winner)
    return [
        Way(name, state, energy, residual, statistics.median(seconds[name]), _distance(problem, state, best))
        for name, (state, energy, residual) in traced.items()
    ]


def _as_in_a_session(relaxer: Relaxer) -> Callable[..., Relaxation]:
    """`relax` with buffers that are kept, as a session that trains has them."""
    return partial(relaxer.relax, buffers=Buffers()) if isinstance(relaxer, IterativeRelaxer) else relaxer.relax


def _pick(states: list[State], winner: Tensor) -> State:
    """Of each sample the state of its winner."""
    rows = torch.arange(len(winner), device=winner.device)
    units = {layer: torch.stack([state[layer] for state in states])[winner, rows] for layer in states[0].units}
    return State(units)


def _distance(problem: Problem, state: State, best: State) -> Tensor:
    apart = [
        problem.energy.domain(layer).distance(state[layer.name], best[layer.name]).flatten(1).amax(1)
        for layer in problem.network.unit_layers
    ]
    return torch.stack(apart).amax(0)
