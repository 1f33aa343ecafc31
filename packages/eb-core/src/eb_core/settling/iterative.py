"""Relaxers that repeat one sweep until the residual is small: all but the sweep is written here, once.

A sample stops when its residual is at most the tolerance, and then no longer moves, whatever its neighbours
in the batch do: a mask freezes it. On the CPU the settled samples leave the batch once they are the majority,
and the loop ends with the last one; elsewhere the budget runs out, so that nothing in the loop waits for the device.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from eb_core.registry import configurable, option
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer, Trace
from eb_core.settling.state import State
from eb_core.settling.workspace import Workspace

NUDGED_SHARE = 0.2
"""A phase that is contrasted at scale beta is settled to this share of |beta| * tol: it moves by order beta."""
RESOLVED = 2
"""Machine epsilons below which a tolerance that shrinks with beta does not fall: a state is not known better."""


@configurable
class IterativeRelaxer(Relaxer):
    """Base of relaxers that need to say only what one iteration does: implement `sweep`.

    `divisible` says that a phase may be settled in two calls, the second from where the first ended: what the
    iteration remembers, if anything, is handed on with the state, and nothing follows a schedule over the phase.
    """

    divisible: ClassVar[bool] = True
    steps: int = option(default=30, help="largest number of iterations in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(
        default=30,
        help="largest number of iterations in a nudged or clamped phase",
        unit="iterations",
        ge=1,
        phases=("nudged", "clamped"),
    )
    tol: float = option(
        default=1e-4,
        help="a sample stops once max|P(s - dF/ds) - s| is at most this; 0 always runs all iterations",
        unit="units of the state",
        ge=0,
    )
    nudged_tol: float | None = option(
        default=None,
        help="the same for nudged and clamped phases; none means 0.2 |beta| tol, as far as the precision goes",
        unit="units of the state",
        ge=0,
        phases=("nudged", "clamped"),
    )
    check_every: int = option(
        default=3,
        help="iterations between two looks at the residual, each about as dear as one",
        unit="iterations",
        ge=1,
        only_with=({"tol": True}, {"nudged_tol": True}),
    )

    def __init_subclass__(cls, **arguments: Any) -> None:
        """A faster `sweeps` belongs to the `sweep` beside it: a class with a `sweep` of its own does not inherit it."""
        super().__init_subclass__(**arguments)
        if "sweep" in vars(cls) and "sweeps" not in vars(cls):
            cls.sweeps = IterativeRelaxer.sweeps  # type: ignore[method-assign]

    @abstractmethod
    def sweep(self, work: Workspace) -> None:
        """One iteration: read fields, forces or minimised units from `work`, and `write` new states.

        Use out-of-place operations only, so that `iterate` stays differentiable.
        """

    def sweeps(self, work: Workspace, count: int) -> None:
        """So many iterations; override it where several can be had for less than one after the other.

        Only `relax` calls it, so it may work in place on tensors of its own.
        """
        for _ in range(count):
            self.sweep(work)

    def unrest(self, work: Workspace) -> Tensor:
        """What must fall to the tolerance before a sample stops, (B,): the residual.

        Override it where more than the units must come to rest (a momentum, say), or where the residual can be
        had for less. It may not be smaller than the residual.
        """
        return work.residual()

    def _advance(self, work: Workspace, count: int, recorder: "_Recorder | None") -> None:
        if recorder is None:
            self.sweeps(work, count)
            return
        for _ in range(count):
            self.sweeps(work, 1)
            recorder.note(work)

    def iterate(self, problem: Problem, state: State, steps: int, *, generator: torch.Generator | None = None) -> State:
        work = Workspace(problem, state, generator)
        for _ in range(steps):
            self.sweep(work)
        return work.state()

    @torch.no_grad()
    def relax(
        self,
        problem: Problem,
        start: State | None = None,
        *,
        generator: torch.Generator | None = None,
        trace: bool = False,
    ) -> Relaxation:
        work = Workspace(problem, problem.initial_state() if start is None else start, generator)
        budget = self.budget(problem)
        tol = self._tolerance(problem)
        recorder = _Recorder(problem, work) if trace else None
        if tol is None:
            self._advance(work, budget, recorder)
            work.release()
            steps = torch.full((problem.batch,), budget, device=problem.x.device)
            return Relaxation(problem, work.state(), steps, trace=recorder.trace() if recorder else None)
        state, converged, steps = self._settle(work, budget, tol, recorder)
        return Relaxation(problem, state, steps, converged, recorder.trace() if recorder else None)

    def budget(self, problem: Problem) -> int:
        """Largest number of iterations of this phase."""
        return self.steps if problem.phase == "free" else self.nudged_steps

    def _tolerance(self, problem: Problem) -> Tensor | None:
        """Tolerance of each sample (B,), or None for a fixed number of iterations."""
        own = self.nudged_tol if problem.phase != "free" and self.nudged_tol is not None else None
        tol = self.tol if own is None else own
        if tol == 0:
            return None
        everyone = problem.x.new_full((problem.batch,), tol)
        if own is not None or problem.scale is None:
            return everyone
        least = RESOLVED * torch.finfo(problem.x.dtype).eps
        return (NUDGED_SHARE * problem.scale * everyone).clamp(min=min(least, tol))

    def _settle(
        self, work: Workspace, budget: int, tol: Tensor, recorder: "_Recorder | None"
    ) -> tuple[State, Tensor, Tensor]:
        """State, which samples converged, and iterations, once all have settled or the budget is spent."""
        may_wait = tol.device.type == "cpu"  # reading a flag is free there, and stalls the queue of a GPU
        rows = torch.arange(len(tol), device=tol.device)
        steps = torch.zeros_like(rows)
        settled = torch.zeros_like(rows, dtype=torch.bool)
        gone: list[tuple[Tensor, State, Tensor]] = []
        taken = 0
        while True:
            count = min(self.check_every, budget - taken)
            self._advance(work, count, recorder)
            taken += count
            steps = steps + count * ~settled
            settled = settled | (self.unrest(work) <= tol)
            if taken == budget or (may_wait and bool(settled.all())):
                break
            if not may_wait or recorder:
                work.freeze(settled)
            elif 2 * int(settled.sum()) >= len(settled):
                gone.append((rows[settled], work.state().select(settled), steps[settled]))
                rows, steps, tol = rows[~settled], steps[~settled], tol[~settled]
                moving = work.select(~settled)
                work.release()
                work = moving
                settled = torch.zeros_like(rows, dtype=torch.bool)
            elif bool(settled.any()):
                work.freeze(settled)
        work.release()
        if not gone:
            return work.state(), settled, steps
        everyone, states, counts = zip(*gone, (rows, work.state(), steps), strict=True)
        order = torch.cat(everyone).argsort()
        early = settled.new_ones(len(order) - len(rows))
        return State.cat(states).select(order), torch.cat([early, settled])[order], torch.cat(counts)[order]


class _Recorder:
    """Energy and residual after every iteration."""

    def __init__(self, problem: Problem, work: Workspace) -> None:
        self.problem = problem
        self.energy: list[Tensor] = []
        self.residual: list[Tensor] = []
        self.note(work)

    def note(self, work: Workspace) -> None:
        self.energy.append(self.problem.objective(work.state()))
        self.residual.append(work.residual())

    def trace(self) -> Trace:
        return Trace(torch.stack(self.energy), torch.stack(self.residual))
