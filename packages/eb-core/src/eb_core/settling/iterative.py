"""Relaxers that repeat one step until the residual is small: all but the step is written here, once.

A sample has settled when its residual is at most the tolerance. Its state is then taken, whatever it and its
neighbours in the batch do afterwards. On the CPU the settled samples leave the batch once they are the majority,
and the loop ends with the last one; elsewhere the budget runs out, so that nothing in the loop waits for the device.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from eb_core.registry import configurable, option
from eb_core.settling.buffers import Buffers
from eb_core.settling.problem import Phase, Problem
from eb_core.settling.relaxer import Relaxation, Relaxer, Trace
from eb_core.settling.state import State
from eb_core.settling.view import View

NUDGED_SHARE = 0.2
"""A phase that is contrasted at scale beta is settled to this share of |beta| * tol: it moves by order beta."""
RESOLVED = 2
"""Machine epsilons below which a tolerance that shrinks with beta does not fall: a state is not known better."""


@configurable
class IterativeRelaxer(Relaxer):
    """Base of relaxers that need to say only what one iteration does: implement `step`.

    Where a dynamics remembers something, `init` puts it into `View.memory`, and only there; where it looks at how far
    it has come, it does so at `pauses`. Nothing else may change from one iteration to the next: `relax` may note what
    torch computes in one step, and repeat that.
    """

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

    def init(self, view: View, resumed: bool) -> None:
        """Prepare `view.memory`: what survives from the state before is decided here. Default: nothing does.

        Args:
            view: at the start state, with its memory.
            resumed: whether a phase goes on (`iterate`) rather than begins.
        """
        view.memory.clear()

    @abstractmethod
    def step(self, view: View) -> None:
        """One iteration: read fields, forces or minima from `view`, `write` new states, `remember` new memory.

        Use torch operations out of place, on what the view offers: then autograd can follow, and the step runs in
        buffers. All memory is there before the first step; a step looks at no value and counts nothing in Python.
        """

    def measure(self, view: View) -> Tensor:
        """Convergence measure of each sample, (B,): the residual.

        Override it where more than the units must come to rest (a momentum, say). It may not be below the residual.
        """
        return view.residual()

    def pauses(self, view: View, budget: int) -> Sequence[int]:
        """After which iterations of a phase of at most `budget` `pause` is called; asked once, after `init`."""
        return ()

    def pause(self, view: View, taken: int, left: int) -> None:
        """What is done between iterations, `taken` behind and at most `left` ahead: values may be looked at here."""

    def looks(self, budget: int) -> int:
        """Iterations between two looks at the convergence measure."""
        return self.check_every

    def finish(self, problem: Problem, state: State) -> State:
        """What is handed out: the settled state, with the memory that the next phase may start from."""
        return state

    @final
    def iterate(self, problem: Problem, state: State, steps: int, *, generator: torch.Generator | None = None) -> State:
        """Exactly `steps` iterations from `state`, pure and differentiable; see `Relaxer`."""
        view = View(problem, state, generator)
        self.init(view, resumed=True)
        self._advance(view, (0, steps, steps), self.pauses(view, steps), None)
        return self.finish(problem, view.state())

    @final
    @torch.no_grad()
    def relax(
        self,
        problem: Problem,
        start: State | None = None,
        *,
        generator: torch.Generator | None = None,
        trace: bool = False,
        buffers: Buffers | None = None,
    ) -> Relaxation:
        """Carry `start` towards a minimum of F; see `Relaxer`.

        Args:
            problem: the phase to settle.
            start: where to begin; default: the energy's rest.
            generator: the source of all noise.
            trace: whether to record F and the residual of every iteration; see `Trace`.
            buffers: of a session, where the phase may be settled again and again.
        """
        view = (buffers or Buffers(are_kept=False)).open(problem, start, generator, self)
        self.init(view, resumed=False)
        recorder = _Recorder(view) if trace else None
        state, converged, steps = self._settle(view, self.budget(problem.phase), self._tolerance(problem), recorder)
        view.prepared.clear()
        return Relaxation(
            problem, self.finish(problem, state), steps, converged, recorder.trace() if recorder else None
        )

    def _advance(
        self, view: View, way: tuple[int, int, int], pauses: Sequence[int], recorder: "_Recorder | None"
    ) -> None:
        """From so many iterations to so many of the whole, with the pauses between and at the end."""
        taken, stop, budget = way
        while taken < stop:
            until = min([pause for pause in pauses if pause > taken] + [stop])
            if recorder:
                until = taken + 1
            view.run(self.step, until - taken)
            taken = until
            if recorder:
                recorder.note(view)
            if taken in pauses:
                self.pause(view, taken, budget - taken)

    def budget(self, phase: Phase) -> int:
        """Largest number of iterations of such a phase."""
        return self.steps if phase == "free" else self.nudged_steps

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
        self, view: View, budget: int, tol: Tensor | None, recorder: "_Recorder | None"
    ) -> tuple[State, Tensor | None, Tensor]:
        """State, which samples converged, and iterations, once all have settled or the budget is spent."""
        pauses = self.pauses(view, budget)
        if tol is None:
            self._advance(view, (0, budget, budget), pauses, recorder)
            return view.state(), None, torch.full((view.batch,), budget, device=view.device)
        may_wait = tol.device.type == "cpu"  # reading a flag is free there, and stalls the queue of a GPU
        rows = torch.arange(len(tol), device=tol.device)
        steps, settled = torch.zeros_like(rows), torch.zeros_like(rows, dtype=torch.bool)
        latched, out = None, settled  # the states of samples that have settled, and which samples these are
        parts: list[tuple[Tensor, State, Tensor]] = []
        taken, idle = 0, 0.0  # idle: iterations spent on samples that have settled, in those of the whole batch
        while True:
            count = min(self.looks(budget), budget - taken)
            self._advance(view, (taken, taken + count, budget), pauses, recorder)
            taken += count
            steps = steps + count * ~settled
            settled = settled | (view.evaluate(self.measure) <= tol)
            if recorder:
                recorder.settled = settled
            if taken == budget or (may_wait and bool(settled.all())):
                break
            if not may_wait or bool((settled & ~out).any()):
                latched, out = view.latched(out, latched), settled
            share = float(settled.sum()) / len(settled) if may_wait else 0.0
            idle += count * share
            if latched and share >= 0.5 and idle >= view.cost_of_selecting and not recorder:
                parts.append((rows[settled], latched.select(settled), steps[settled]))
                moving, latched, idle = ~settled, None, 0.0
                rows, steps, tol, view = rows[moving], steps[moving], tol[moving], view.select(moving)
                settled = out = torch.zeros_like(rows, dtype=torch.bool)
        end = view.latched(out, latched)
        if not parts:
            return end, settled, steps
        parts.append((rows, end, steps))
        everyone, states, counts = zip(*parts, strict=True)
        order = torch.cat(everyone).argsort()
        converged = torch.cat([settled.new_ones(len(order) - len(rows)), settled])
        return State.cat(states).select(order), converged[order], torch.cat(counts)[order]


class _Recorder:
    """Energy and residual after every iteration; of settled samples, as they were when they settled."""

    def __init__(self, view: View) -> None:
        self.settled: Tensor | None = None
        self._energy: list[Tensor] = []
        self._residual: list[Tensor] = []
        self.note(view)

    def note(self, view: View) -> None:
        for values, new in ((self._energy, view.problem.objective(view.state())), (self._residual, view.residual())):
            values.append(new if self.settled is None else torch.where(self.settled, values[-1], new))

    def trace(self) -> Trace:
        return Trace(torch.stack(self._energy), torch.stack(self._residual))
