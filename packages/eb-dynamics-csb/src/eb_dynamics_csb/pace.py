"""Step and momentum of an iteration: given, or chosen for each sample from the coupling of the units that move.

    sigma = |D^-1/2 J d| / |D^1/2 d|,   D = c + self-terms of edges, d the displacement of iteration 3,
                                        J and d restricted to units off their walls
    h = w / c,  w = 2 / (1 + sqrt(1 - min(sigma, 0.85)^2)),  mu = 0 sequential, w - 1 parallel

The iteration itself is a power iteration, so d points along the leading eigenvector of J and one product with J is
enough. It comes too early to know the last active set: early on more units move, and sigma is too large where many
still have to reach a wall. Hence the ceiling, which costs little where sigma really is larger.
"""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from eb_core import View
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
"""Names in the memory of a state, (B,) each: sigma of a sample, -1 while unknown; iterations before it is looked at."""
BEFORE = "before."
"""In front of a layer's name: its units before the iteration that shows sigma."""
CHOSEN = ("h", "dt", "mu")
"""Names in the memory of a view, (B,) each: the pace that follows from sigma."""


@attrs.frozen(eq=False)
class Pace:
    """h = dt^2, the step on the force, and mu = 1 - gamma dt, the share of the momentum that is kept.

    Each a float, or (B,) with a value for each sample. mu is the float 0 where no momentum is kept at all.
    """

    h: float | Tensor
    dt: float | Tensor
    mu: float | Tensor

    @property
    def kept(self) -> bool:
        """Whether there is a momentum."""
        return isinstance(self.mu, Tensor) or self.mu != 0


def fixed(dt: float, gamma: float) -> Pace:
    """The pace of these options; mu is exactly 0 where only rounding makes a difference."""
    mu = 1 - gamma * dt
    return Pace(dt * dt, dt, mu if abs(mu) > 1e-9 else 0.0)


def longest(update: Update, curvature: float) -> Pace:
    """The largest step that is ever chosen."""
    w = over_relaxation(CEILING)
    return Pace(w / unit_of(curvature), (w / unit_of(curvature)) ** 0.5, w - 1 if update == "parallel" else 0.0)


def of(view: View, given: Pace | None) -> Pace:
    """The pace that is given, or the one in memory."""
    return given or Pace(*(view.memory[name] for name in CHOSEN))


def begin(view: View, before: Mapping[str, Tensor], update: Update) -> None:
    """Take sigma over from a state's memory; where there is none, it is unknown and will be looked at."""
    everyone = torch.zeros(view.batch, dtype=torch.int64, device=view.device)
    if SIGMA in before:
        view.remember(SIGMA, before[SIGMA])
        for name in [name for name in before if name == AGE or name.startswith(BEFORE)]:
            view.remember(name, before[name])
    else:
        view.remember(SIGMA, view.like.new_full((view.batch,), -1.0))
        view.remember(AGE, everyone)
    _choose(view, update)


def _choose(view: View, update: Update) -> None:
    """Put the best pace for the sigma of each sample into memory; where it is unknown, the one to begin with."""
    sigma = view.memory[SIGMA]
    w = torch.where(sigma < 0, FIRST[update], 2 / (1 + (1 - sigma.clamp(max=CEILING).square()).sqrt()))
    h = w / unit_of(view.stiffness)
    for name, value in zip(CHOSEN, (h, h.sqrt(), w - 1), strict=True):
        view.remember(name, value)


def pauses(view: View, budget: int) -> Sequence[int]:
    """Before and after the iteration that shows sigma, and at the end of a phase that does not come so far."""
    if AGE not in view.memory:
        return ()
    age = int(view.memory[AGE].max())
    return [pause for pause in (LOOK_AT - 1 - age, LOOK_AT - age, budget) if 0 < pause <= budget]


def pause(view: View, taken: int, left: int, update: Update) -> None:
    """Note the state before the iteration that shows sigma, look at sigma after it."""
    if AGE not in view.memory:
        return
    age = int(view.memory[AGE].max()) + taken
    if age == LOOK_AT - 1:
        for name in view.layers:
            view.remember(BEFORE + name, view.units[name].clone())
    elif age == LOOK_AT:
        _look(view)
        for name in [AGE, *(BEFORE + name for name in view.layers)]:
            view.forget(name)
        _choose(view, update)
    if age < LOOK_AT and not left:
        view.remember(AGE, torch.full_like(view.memory[AGE], age))


def _look(view: View) -> None:
    """Put sigma into memory, from the displacement of the last iteration."""
    state, batch, like, curvature = view.state(), view.batch, view.like, view.stiffness
    bends = {name: curvature + bend.amax(0) for name, bend in view.constants.self_terms.items()}
    whole = {name: bends.get(name, like.new_full((), curvature)) for name in view.units} if bends else None
    size = PART if state.large else batch
    parts = []
    for first in range(0, batch, size):
        rows = torch.arange(first, min(first + size, batch), device=view.device)
        part = state.select(rows)
        active = active_units(view.problem.select(rows), part)
        displacement = {name: part[name] - view.memory[BEFORE + name][rows] for name in active}
        parts.append(power_step(view.network, displacement, active, curvature=whole, state=part))
    sigma = torch.cat(parts)
    view.remember(SIGMA, sigma if bends or curvature == 1 else sigma / unit_of(curvature))
