"""A relaxer carries a state towards a minimum of a problem; what it reached comes back as a `Relaxation`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, final

import attrs
import torch
from torch import Tensor

from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.registry import UsageError
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.workspace import Workspace


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
        steps: iterations of each sample, (B,) int64.
        converged: residual <= tolerance (B,) bool, None if no tolerance was asked for.
        trace: the way there, if asked for.
        energy, residual: known already, (B,) each.
    """

    problem: Problem
    state: State
    steps: Tensor
    converged: Tensor | None = None
    trace: Trace | None = None
    _energy: Tensor | None = None
    _residual: Tensor | None = None
    _measured: list[tuple[Tensor, Tensor]] = attrs.field(factory=list, init=False)
    _version: int = attrs.field(init=False)

    @_version.default
    def _version_now(self) -> int:
        return self.problem.network.version

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
            self._measured.append(Workspace(self.problem, self.state).measure())
        return self._measured[0]

    def split(self, problems: Sequence[Problem]) -> list["Relaxation"]:
        """What `Problem.stack(problems)` settled to, one relaxation for each of them; a trace is left behind."""
        parts, first = [], 0
        for problem in problems:
            rows = slice(first, first + problem.batch)
            first += problem.batch
            parts.append(
                Relaxation(
                    problem,
                    self.state.select(rows),
                    self.steps[rows],
                    None if self.converged is None else self.converged[rows],
                    energy=None if self._energy is None else self._energy[rows],
                    residual=None if self._residual is None else self._residual[rows],
                )
            )
        return parts


class Relaxer(ABC):
    """A dynamics: a frozen value whose options own the budgets (iterations and tolerances of each phase).

    `monotone` says that theory promises F never to increase from one iteration to the next.

    `symmetric` says that near a settled state k iterations answer a small force by a symmetric matrix, as they do
    when all layers move at once from the old state: then EP after k nudged iterations is backpropagation through
    time truncated to k (Ernoult et al. 2019, arXiv 1905.13633).

    `needs_force` says that it reads `Workspace.force`, which spins do not have: it is then refused for them.
    """

    monotone: bool = False
    symmetric: bool = False
    needs_force: ClassVar[bool] = True

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

    @final
    def misfit(self, energy: Energy) -> str | None:
        """Why this dynamics cannot run on that physics, or None: `why_not`, after what holds for every dynamics."""
        if self.needs_force and not energy.differentiable:
            kind = type(energy).__name__
            return (
                f"it follows a force, and units of {kind} have none: use a relaxer that minimises units, or a sampler"
            )
        return self.why_not(energy)

    def why_not(self, energy: Energy) -> str | None:
        """Why this dynamics makes no sense for that physics, or None; asked through `misfit` before any work starts."""
        return None

    def why_not_on(self, network: Network) -> str | None:
        """Why this dynamics cannot run on that wiring, or None; checked when the network is known."""
        return None

    def notices(self, network: Network, energy: Energy) -> Sequence[str]:
        """What to know before work starts, each with its advice, though it is no reason to refuse."""
        return ()
