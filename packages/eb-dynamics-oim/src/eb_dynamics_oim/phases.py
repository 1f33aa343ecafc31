"""What the relaxers of phases share: budgets in their units, the phase read-out with n bits, what they refuse."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from eb_core import (
    Diagnostic,
    IterativeRelaxer,
    Problem,
    Properties,
    Setup,
    State,
    configurable,
    notice,
    option,
    refuse,
)
from eb_core.physics.energy import KINDS

TURN = 2 * math.pi


@configurable
class PhaseRelaxer(IterativeRelaxer):
    """Base of relaxers of phases: a dynamics without walls whose result may be read out with n bits.

    Tolerances are on the residual max |dF/dphi|, in radians per unit time. The read-out rounds the settled phases to
    one of 2^n even levels k 2 pi / 2^n. It is applied to phi*, which the nudged phases then start from, and to the
    nudged phases. Energy and residual are those of the phases that come back; `converged` says whether the dynamics had
    settled before they were read out.
    """

    tol: float = option(
        default=1e-3,
        help="a sample stops once max|dF/dphi| is at most this; 0 always runs all iterations",
        unit="rad per unit time",
        ge=0,
    )
    nudged_tol: float | None = option(
        default=None,
        help="the same for nudged and clamped phases; none means 0.2 |beta| tol, as far as the precision goes",
        unit="rad per unit time",
        ge=0,
    )
    bits: int | None = option(
        default=None,
        help="read phases out on 2^bits even levels of the circle; none: exactly",
        unit="bits",
        ge=1,
        le=24,
    )

    def properties(self) -> Properties:
        """Velocities and step sizes belong to one phase, and so does the read-out with few bits."""
        return Properties(resumable=False)

    def finish(self, problem: Problem, state: State) -> State:
        """The phases that are read out; through few bits a gradient passes as if there were none (straight through)."""
        if self.bits is None:
            return State(state.units)
        rounded = {name: value + (quantised(value, self.bits) - value).detach() for name, value in state.units.items()}
        return State({name: problem.apply_clamp(name, value) for name, value in rounded.items()})

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        energy = setup.energy
        if energy is not None and any(energy.domain(layer).at_wall(torch.zeros(1)) is not None for layer in KINDS):
            yield refuse(
                f"units of {type(energy).__name__} have walls, and this dynamics knows none; use gradient-flow or"
                " hopfield, or csb for momentum with walls"
            )
        if self.bits is not None and self.bits < 4:
            yield notice(
                f"{2**self.bits} phase levels are coarse: nudges that move phases less leave no trace; try bits=4"
            )


def quantised(phase: Tensor, bits: int) -> Tensor:
    """The nearest of 2^bits even levels k 2 pi / 2^bits, without wrapping."""
    step = TURN / 2**bits
    level: Tensor = torch.round(phase / step)
    return level.mul(step)
