"""One batch settled on a backend, several times: what it took and where it ended, for `eb relax --backend`."""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from eb_core.learning.rule import GradientEstimate, Rule
from eb_core.learning.session import Session
from eb_core.learning.usage import since, together
from eb_core.registry import configurable
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation
from eb_core.settling.state import State


@configurable
class Nudging(Rule):
    """What settles a nudged phase from the free one and learns nothing: backends are asked whether they can."""

    phases = ("free", "nudged")
    settles = 2

    def estimate(self, *_: Any, **__: Any) -> GradientEstimate:
        """There is none."""
        raise NotImplementedError


@attrs.frozen(eq=False)
class Settled:
    """What a backend made of one phase of a batch.

    Args:
        name, settler: what the user calls it, and what it says of itself.
        facts: of the device: serial number, calibration.
        seconds: median wall time of the phase.
        used: of each repeat, what the phase used of the device.
        usage: all that was used, free phases before nudged ones and programmings included.
        energy, residual: of each repeat and sample (R, B): F, and max |P(s - dF/ds) - s|, at the couplings it holds.
        apart: largest distance of a unit from its state of the first repeat; None of one repeat.
    """

    name: str
    settler: str
    facts: Mapping[str, Any]
    seconds: float
    used: Sequence[Mapping[str, float]]
    usage: Mapping[str, float]
    energy: Tensor
    residual: Tensor
    apart: float | None

    @property
    def typical(self) -> dict[str, float]:
        """What one repeat used: medians."""
        names = dict.fromkeys(name for one in self.used for name in one)
        return {name: statistics.median(one.get(name, 0) for one in self.used) for name in names}


@torch.no_grad()
def settle_on(
    session: Session,
    name: str,
    free: Problem,
    nudged: Problem | None = None,
    *,
    repeats: int,
    generator: torch.Generator | None = None,
) -> Settled:
    """Settle `free`, or `nudged` from the free states that the backend itself has found, `repeats` times.

    A batch that is too large for the backend is settled part by part, all phases of one before the next, as a training
    does it.
    """
    session.upload_parameters()
    most = session.largest_batch or free.batch
    rows = [torch.arange(k, min(k + most, free.batch), device=free.x.device) for k in range(0, free.batch, most)]
    parts = [(free.select(few), nudged.select(few) if nudged else None) for few in rows]
    session.settle(free.select(rows[0][:1]), generator=generator)  # programs it, which is no part of a phase
    used, seconds, ends = [], [], []
    for _ in range(repeats):
        taken, clock, relaxed = dict[str, float](), 0.0, []
        for first, second in parts:
            before = None
            if second is not None:
                before = session.settle(first, generator=generator).state
            then, started = dict(session.usage), time.perf_counter()
            relaxed.append(session.settle(second or first, before, generator=generator))
            clock += time.perf_counter() - started
            taken = together(taken, since(session.usage, then))
        used.append(taken)
        seconds.append(clock)
        ends.append(relaxed)
    return Settled(
        name,
        session.settler,
        dict(session.facts),
        statistics.median(seconds),
        used,
        dict(session.usage),
        torch.stack([torch.cat([one.problem.objective(one.state) for one in end]) for end in ends]),
        torch.stack([torch.cat([one.residual for one in end]) for end in ends]),
        _apart(free, ends) if repeats > 1 else None,
    )


def _apart(problem: Problem, ends: Sequence[Sequence[Relaxation]]) -> float:
    """The largest distance of a unit from its state of the first repeat."""
    states = [State.cat([one.state for one in end]) for end in ends]
    return max(
        float(problem.energy.domain(layer).distance(state[layer.name], states[0][layer.name]).max())
        for state in states[1:]
        for layer in problem.network.unit_layers
    )
