"""Step and momentum of an iteration: given, or chosen for each sample from the coupling of the units that move.

    sigma = |D^-1/2 J d| / |D^1/2 d|,   D = c + self-terms of edges, d the displacement of iteration 3,
                                        J and d restricted to units off their walls
    h = w / c,  w = 2 / (1 + sqrt(1 - min(sigma, 0.85)^2)),  mu = 0 sequential, w - 1 parallel

The iteration itself is a power iteration, so d points along the leading eigenvector of J and one product with J is
enough. It comes too early to know the last active set: early on more units move, and sigma is too large where many
still have to reach a wall. Hence the ceiling, which costs little where sigma really is larger.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from eb_core import State, Workspace
from eb_core.settling.coupling import active_units, power_step
from eb_dynamics_csb.stability import Update, over_relaxation, unit_of

LOOK_AT = 3
"""The iteration whose displacement is looked at."""
CEILING = 0.85
"""Largest sigma that a step is chosen for."""
FIRST = {"sequential": 1.05, "parallel": 1.1}
"""w of the iterations before."""
PART = 4
"""Samples of a large batch whose sigma is looked at together, to save memory."""
SIGMA, AGE = "sigma", "age"
"""Names in the memory of a state, (B,) each: sigma of a sample, -1 while unknown; iterations of the phase so far."""


@attrs.frozen(eq=False)
class Pace:
    """h = dt^2, the step on the force, and mu = 1 - gamma dt, the share of the momentum that is kept.

    Each a float, or (B,) with a value for each sample. mu is the float 0 where no momentum is kept at all.
    """

    h: float | Tensor
    mu: float | Tensor

    @property
    def dt(self) -> float | Tensor:
        """Step in time constants."""
        return self.h**0.5

    @property
    def kept(self) -> bool:
        """Whether there is a momentum."""
        return isinstance(self.mu, Tensor) or self.mu != 0


def fixed(dt: float, gamma: float) -> Pace:
    """The pace of these options; mu is exactly 0 where only rounding makes a difference."""
    mu = 1 - gamma * dt
    return Pace(dt * dt, mu if abs(mu) > 1e-9 else 0.0)


def chosen(update: Update, curvature: float, memory: Mapping[str, Tensor]) -> Pace:
    """The best pace for the sigma of each sample in memory; where it is unknown, the one to begin with."""
    sigma = memory[SIGMA]
    w = torch.where(sigma < 0, FIRST[update], 2 / (1 + (1 - sigma.clamp(max=CEILING).square()).sqrt()))
    return Pace(w / unit_of(curvature), w - 1 if update == "parallel" else 0.0)


def longest(update: Update, curvature: float) -> Pace:
    """The largest step that `chosen` ever takes."""
    w = over_relaxation(CEILING)
    return Pace(w / unit_of(curvature), w - 1 if update == "parallel" else 0.0)


def begin(work: Workspace) -> int | None:
    """Iterations so far in a phase that will look at its sigma, None in one that starts with it.

    `sigma` of a sample that settles before the look stays -1: unknown.
    """
    if SIGMA in work.memory:
        return int(work.memory[AGE].max()) if AGE in work.memory else None
    like = work.problem.x
    work.memory[SIGMA] = like.new_full((work.problem.batch,), -1.0)
    work.memory[AGE] = torch.zeros(work.problem.batch, dtype=torch.int64, device=like.device)
    return 0


def look(work: Workspace, before: Mapping[str, Tensor], curvature: float) -> None:
    """Put sigma into memory, from the displacement of the iteration that began at `before`."""
    state, batch, like = work.state(), work.problem.batch, work.problem.x
    bends = {name: curvature + bend.amax(0) for name, bend in work.terms.self_terms.items()}
    whole = {name: bends.get(name, like.new_full((), curvature)) for name in work.units} if bends else None
    size = PART if state.large else batch
    found = []
    for first in range(0, batch, size):
        rows = torch.arange(first, min(first + size, batch), device=work.problem.x.device)
        part = state.select(rows)
        active = active_units(work.problem.select(rows), part)
        displacement = {name: part[name] - before[name][rows] for name in active}
        found.append(power_step(work.problem.network, displacement, active, curvature=whole, state=part))
    sigma = torch.cat(found)
    work.remember(SIGMA, sigma if bends or curvature == 1 else sigma / unit_of(curvature))


def forget(state: State, *names: str) -> State:
    """The state without these parts of its memory."""
    return State(state.units, {name: value for name, value in state.memory.items() if name not in names})
