"""What all contrastive rules share: a free phase, two perturbed states, the difference of their energies' gradients.

    g = [dE/dtheta(s_{beta2}) - dE/dtheta(s_{beta1})] / (beta2 - beta1),   batch mean

(beta1, beta2) is (0, b) for the positive, (-b, 0) for the negative and (-b, b) for the centred variant. The free state
is known to the free phase's tolerance only, which divided by b may be more than the gradient. So the state at beta = 0
is settled on like the other one, from the same start, with the same budget and tolerance: what both lack cancels.
"""

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor

from eb_core import (
    Cost,
    GradientEstimate,
    Problem,
    Relaxation,
    Rule,
    Session,
    State,
    configurable,
    contrast,
    option,
)


@configurable
class TwoPhase(Rule):
    """Base of rules that contrast two perturbed states: implement `perturbed`."""

    variant: Literal["positive", "negative", "centered"] = option(
        default="centered", help="which two states are contrasted: (0, b), (-b, 0) or (-b, b)"
    )
    beta: float = option(default=0.2, help="strength b of the perturbation", unit="energy per cost", gt=0, le=1e15)
    stacked: bool | None = option(
        default=None,
        help="settle both contrasted phases as one doubled batch where the backend can; none: while a batch has at most"
        " half a million units",
    )
    warm_start: bool = option(
        default=False, help="start the free phase from the last perturbed state of the batch before, as EBL's code does"
    )

    def strengths(self) -> tuple[float, float]:
        """(beta1, beta2)."""
        return {"positive": (0.0, self.beta), "negative": (-self.beta, 0.0), "centered": (-self.beta, self.beta)}[
            self.variant
        ]

    @abstractmethod
    def perturbed(self, problem: Problem, free: State, cost: Cost, target: Tensor, beta: float) -> Problem:
        """The problem of a perturbed phase, derived from the free problem and its settled state.

        Args:
            problem: the free phase.
            free: the state that it settled to.
            cost: C, for rules that nudge.
            target: its targets, (B, outputs), from `Cost.encode`.
            beta: one of `strengths`; 0 is the unperturbed state as the other one is compared with it.
        """

    def estimate(
        self,
        session: Session,
        x: Tensor,
        target: Tensor,
        cost: Cost,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        problem = Problem.free(session.network, session.energy, x)
        start = carry.select(torch.arange(len(x), device=x.device)) if carry and carry.batch >= len(x) else None
        free = self.infer(session, problem, start, generator=generator)
        low, high = self.strengths()
        phases = [self.perturbed(problem, free.state, cost, target, beta) for beta in (low, high)]
        lower, upper = self._settle(session, phases, free.state, generator)
        weight = 1 / (high - low)
        readout = problem.readout(free.state)
        return GradientEstimate(
            contrast(problem, [*_weighted(weight, upper), *_weighted(-weight, lower)]),
            cost.value(readout, target),
            readout,
            {"free": free, "minus" if low else "zero": lower, "plus" if high else "zero": upper},
            (upper if high else lower).state if self.warm_start else None,
        )

    def _settle(
        self, session: Session, phases: list[Problem], free: State, generator: torch.Generator | None
    ) -> list[Relaxation]:
        """Each phase from the free state: one after the other, or all as one batch."""
        stacked = self.stacked
        if stacked is None:
            stacked = not free.large
        if not (stacked and session.supports_stacked_phases):
            return [session.settle(phase, free, generator=generator) for phase in phases]
        both = session.settle(Problem.stack(phases), State.cat([free] * len(phases)), generator=generator)
        return both.split(phases)


def _weighted(weight: float, relaxation: Relaxation) -> list[tuple[float, State]]:
    """The states of a phase with their weights: a device may have read several."""
    return [(weight / len(relaxation.states), state) for state in relaxation.states]
