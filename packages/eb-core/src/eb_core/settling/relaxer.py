"""A relaxer carries a state towards a minimum of a problem; what it reached comes back as a `Relaxation`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.things.energy import Energy
from eb_core.things.network import Network


@attrs.frozen(eq=False)
class Trace:
    """Energy F and residual after 0, 1, 2 … iterations, each (iterations + 1, B)."""

    energy: Tensor
    residual: Tensor


@attrs.frozen(eq=False)
class Relaxation:
    """Where a relaxation ended. Not converging is data, not an error.

    Args:
        state: units and memory at the end.
        energy: E of each sample (B,), without the nudge.
        residual: max |P(s - dF/ds) - s| of each sample (B,), None where it has no meaning.
        steps: iterations of each sample, (B,) int64.
        converged: residual <= tolerance (B,) bool, None if no tolerance was asked for.
        trace: the way there, if asked for.
    """

    state: State
    energy: Tensor
    residual: Tensor | None
    steps: Tensor
    converged: Tensor | None = None
    trace: Trace | None = None

    @staticmethod
    def cat(parts: Sequence["Relaxation"]) -> "Relaxation":
        """Several batches one after the other; traces are left behind."""
        residuals = [part.residual for part in parts if part.residual is not None]
        converged = [part.converged for part in parts if part.converged is not None]
        return Relaxation(
            State.cat([part.state for part in parts]),
            torch.cat([part.energy for part in parts]),
            torch.cat(residuals) if residuals else None,
            torch.cat([part.steps for part in parts]),
            torch.cat(converged) if converged else None,
        )

    def select(self, rows: Tensor) -> "Relaxation":
        """The part of the samples at `rows`; a trace is left behind."""
        return Relaxation(
            self.state.select(rows),
            self.energy[rows],
            None if self.residual is None else self.residual[rows],
            self.steps[rows],
            None if self.converged is None else self.converged[rows],
        )


class Relaxer(ABC):
    """A dynamics: a frozen value whose options own the budgets (iterations and tolerances of each phase).

    `monotone` says that theory promises F never to increase from one iteration to the next.
    """

    monotone: bool = False

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

    def why_not(self, energy: Energy) -> str | None:
        """Why this dynamics makes no sense for that physics, or None; checked before any work starts."""
        return None

    def notices(self, network: Network, energy: Energy) -> Sequence[str]:
        """What to know before work starts, each with its advice, though it is no reason to refuse."""
        return ()
