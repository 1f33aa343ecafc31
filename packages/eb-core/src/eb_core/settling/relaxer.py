"""A relaxer carries a state towards a minimum of a problem; what it reached comes back as a `Relaxation`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor

from eb_core.registry import UsageError
from eb_core.registry.setup import Diagnostic, Setup
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.view import View


@attrs.frozen(eq=False)
class Trace:
    """Energy F and residual after 0, 1, 2 … iterations, each (iterations + 1, B)."""

    energy: Tensor
    residual: Tensor


@attrs.frozen(eq=False)
class Relaxation:
    """Where a relaxation ended. Not converging is data, not an error.

    Energy and residual are measured when they are first read, unless the dynamics or the device handed them over;
    read them before the weights change.

    Args:
        problem: what was settled.
        state: units and memory at the end.
        steps: iterations of each sample, (B,) int64; None where nobody counts them, on a device.
        converged: residual <= tolerance (B,) bool, None if no tolerance was asked for.
        trace: the way there, if asked for.
        reads: several states of each sample, where a device that is not certain was asked several times; `state` is
            their mean.
        energy, residual: known already, (B,) each.
    """

    problem: Problem
    state: State
    steps: Tensor | None
    converged: Tensor | None = None
    trace: Trace | None = None
    reads: tuple[State, ...] = ()
    _energy: Tensor | None = None
    _residual: Tensor | None = None
    _measured: list[tuple[Tensor, Tensor]] = attrs.field(factory=list, init=False)
    _version: int = attrs.field(init=False)

    @_version.default
    def _version_now(self) -> int:
        return self.problem.network.version

    @property
    def states(self) -> tuple[State, ...]:
        """Every state that was read: a gradient averages over them, as a mean of products is no product of means."""
        return self.reads or (self.state,)

    @property
    def energy(self) -> Tensor:
        """E of each sample (B,), without the nudge."""
        return self._measure()[1] if self._energy is None else self._energy

    @property
    def residual(self) -> Tensor:
        """max |P(s - dF/ds) - s| of each sample (B,); the nudge, if there is one, is in F."""
        return self._measure()[0] if self._residual is None else self._residual

    @torch.no_grad()
    def _measure(self) -> tuple[Tensor, Tensor]:
        if not self._measured:
            if self._version != self.problem.network.version:
                raise UsageError(
                    "energy and residual of a relaxation were asked for after the weights had changed",
                    advice="read them before the update",
                )
            self._measured.append(View(self.problem, self.state).measure())
        return self._measured[0]

    @staticmethod
    def join(parts: Sequence["Relaxation"]) -> "Relaxation":
        """Relaxations of several batches as that of one; a trace is left behind."""
        first = parts[0]
        steps = [part.steps for part in parts if part.steps is not None]
        converged = [part.converged for part in parts if part.converged is not None]
        return Relaxation(
            Problem.join([part.problem for part in parts]),
            State.cat([part.state for part in parts]),
            torch.cat(steps) if len(steps) == len(parts) else None,
            torch.cat(converged) if len(converged) == len(parts) else None,
            reads=tuple(State.cat([part.reads[k] for part in parts]) for k in range(len(first.reads))),
        )

    def split(self, problems: Sequence[Problem]) -> list["Relaxation"]:
        """What `Problem.stack(problems)` settled to, one relaxation for each of them; a trace is left behind."""
        parts, first = [], 0
        for problem in problems:
            rows = slice(first, first + problem.batch)
            first += problem.batch
            parts.append(
                Relaxation(
                    attrs.evolve(problem, network=self.problem.network),
                    self.state.select(rows),
                    None if self.steps is None else self.steps[rows],
                    None if self.converged is None else self.converged[rows],
                    reads=tuple(read.select(rows) for read in self.reads),
                    energy=None if self._energy is None else self._energy[rows],
                    residual=None if self._residual is None else self._residual[rows],
                )
            )
        return parts


@attrs.frozen
class Properties:
    """What theory promises of a dynamics, and what it needs; `eb check` measures the promises.

    Args:
        descends: F never increases from one iteration to the next.
        symmetric_response: near a settled state k iterations answer a small force by a symmetric matrix, as they do
            when all layers move at once from the old state: then EP after k nudged iterations is backpropagation
            through time truncated to k (Ernoult et al. 2019, arXiv 1905.13633).
        resumable: a phase may be settled in two calls, the second from where the first ended: what the iteration
            remembers, if anything, is handed on with the state, and nothing follows a schedule over the phase.
        needs_force: it reads `View.force`, which spins do not have: it is then refused for them.
    """

    descends: bool = False
    symmetric_response: bool = False
    resumable: bool = True
    needs_force: bool = True


class Relaxer(ABC):
    """A dynamics: a frozen value whose options own the budgets (iterations and tolerances of each phase)."""

    def properties(self) -> Properties:
        """What it promises with these options. Default: nothing but that a phase can be resumed."""
        return Properties()

    @abstractmethod
    def relax(
        self,
        problem: Problem,
        start: State | None = None,
        *,
        generator: torch.Generator | None = None,
        trace: bool = False,
    ) -> Relaxation:
        """Carry `start` (default: the energy's rest) towards a minimum of F, fast and without autograd."""

    @abstractmethod
    def iterate(self, problem: Problem, state: State, steps: int, *, generator: torch.Generator | None = None) -> State:
        """Exactly `steps` iterations of the same dynamics, pure and differentiable."""

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """What this dynamics has to say of what it is to work with; see `Setup`."""
        return ()
