"""A learning rule settles problems and turns the settled states into gradients, locally."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from eb_core.learning.session import Session
from eb_core.physics.cost import Cost
from eb_core.registry.setup import Diagnostic, Setup
from eb_core.settling.problem import Phase, Problem
from eb_core.settling.relaxer import Relaxation
from eb_core.settling.state import State


@attrs.frozen(eq=False)
class GradientEstimate:
    """What a rule made of one batch; it touches neither `.grad` nor an optimiser.

    Args:
        gradients: parameter name -> estimate of d(mean loss)/d(parameter), of the parameter's shape.
        loss: C of each sample at the free state, (B,).
        readout: read-out at the free state, (B, outputs).
        phases: every relaxation by name; `free` is always there.
        carry: state that the next batch may start from, or None.
    """

    gradients: Mapping[str, Tensor]
    loss: Tensor
    readout: Tensor
    phases: Mapping[str, Relaxation]
    carry: State | None = None

    @staticmethod
    def join(parts: Sequence["GradientEstimate"]) -> "GradientEstimate":
        """The estimate of a batch from those of its parts, each weighted with its samples."""
        if len(parts) == 1:
            return parts[0]
        sizes = [len(part.loss) for part in parts]
        total = sum(sizes)
        carries = [part.carry for part in parts if part.carry is not None]
        return GradientEstimate(
            {
                name: sum(
                    (part.gradients[name] * (size / total) for part, size in zip(parts[1:], sizes[1:], strict=True)),
                    first * (sizes[0] / total),
                )
                for name, first in parts[0].gradients.items()
            },
            torch.cat([part.loss for part in parts]),
            torch.cat([part.readout for part in parts]),
            {name: Relaxation.join([part.phases[name] for part in parts]) for name in parts[0].phases},
            State.cat(carries) if len(carries) == len(parts) else None,
        )


class Rule(ABC):
    """Which problems to settle, from where, and how the settled states become gradients.

    The docstring of a rule names the function whose gradient it estimates, and in which limit.

    `phases` are the phases that the rule settles; options of relaxer and backend that act in no such phase do nothing.
    `settles` is how often it settles a batch. `differentiates` says that it follows a simulation by autograd, or makes
    gradients without settling: no device can do that.

    `error_order` is n where the estimate is the gradient of the cost at the free equilibrium up to an error of
    order beta^n, and None where it is the gradient of something else, whatever beta.
    """

    phases: ClassVar[tuple[Phase, ...]] = ("free", "nudged", "clamped")
    settles: ClassVar[int] = 3
    differentiates: ClassVar[bool] = False
    error_order: int | None = None

    def infer(
        self,
        session: Session,
        problem: Problem,
        start: State | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Relaxation:
        """The state that predictions are read from: the settled free phase, unless a rule trains another net."""
        return session.settle(problem, start, generator=generator)

    @abstractmethod
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
        """Gradient estimate of one batch.

        Args:
            session: settles problems; holds the network and the energy.
            x: (B, *input shape).
            target: (B, outputs), from `Cost.encode`.
            cost: C; the loss is its mean over the batch.
            carry: what the previous estimate returned.
            generator: the source of all noise while settling.
        """

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """What this rule has to say of what it is to work with; see `Setup`."""
        return ()
