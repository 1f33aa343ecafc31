"""How good a device is, in figures: what is left of the force where it settles, and the gradient that it gives.

The gradient is that of centred equilibrium propagation, made of states that the device settled to,

    g = mean_B [dE/dtheta(s_(+beta)) - dE/dtheta(s_(-beta))] / (2 beta)

against the exact one, by implicit differentiation at the free equilibrium nearest to where the device stood. Nets are
those on which an ideal device, which settles to the end and is read exactly, has it nearly right.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import attrs
import numpy as np
import torch
from torch import Tensor

from eb_core.device.backend import DeviceBackend
from eb_core.device.contract import Readout
from eb_core.device.levels import encoded
from eb_core.device.phases import Translation
from eb_core.device.placement import ends_of
from eb_core.learning.contrast import contrast
from eb_core.learning.oracle import exact_gradient
from eb_core.network.network import Network
from eb_core.physics.domain import Circle
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation
from eb_core.settling.state import State
from eb_core.testing.device_bench import BATCH, IDEAL, Bench
from eb_core.testing.device_nets import conditioned
from eb_core.testing.report import Measured, SkippedError

NETS = 8
"""Random nets, each with a batch of its own, that a figure is the mean of."""
CANDIDATES = 48
"""Samples that are drawn of each net; the best conditioned ones are taken."""
BETAS = (0.2, 0.1, 0.05, 0.02, 0.01)
"""Strengths of the nudge; for each net the first one at which an ideal device is good enough."""
ENOUGH = 0.95
"""Cosine of an ideal device that is good enough: the larger beta, the less noise and levels matter."""
MARGIN = 0.1
"""The cosine of a device may be so much less than that of an ideal one whose states are read as it declares."""
RESAMPLES = 2000

Gradients = Mapping[str, Tensor]
Settle = Callable[[Problem, State | None], Relaxation]
Read = Callable[[Problem, Relaxation], Sequence[State]]


@attrs.frozen(eq=False)
class Trial:
    """A net on which an ideal device has the gradient right.

    Args:
        problem: its free phase.
        target: of the outputs.
        beta: strength of the nudge.
        ideal: cosine of an ideal device.
        read: the same with states that are read as the device declares: noise, and levels.
    """

    problem: Problem
    target: Tensor
    beta: float
    ideal: float
    read: float


@attrs.frozen
class Compared:
    """The gradient of a device on one net.

    Args:
        programmed: cosine with the exact gradient of the net with the couplings that it says it holds.
        asked: the same of the net with the couplings that it was asked for, in full precision.
        length: over that of the exact one of the programmed net.
        beside: `programmed` less the cosine of an ideal device that is read as declared.
    """

    programmed: float
    asked: float
    length: float
    beside: float


def interval(nets: int) -> str:
    """How intervals are made, in words."""
    return f"95 % bootstrap intervals of means over {nets} nets"


def bootstrap(values: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Mean, and the 2.5 and 97.5 % points of the means of samples drawn from `values` with replacement."""
    figures = torch.tensor(values, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(values), (RESAMPLES, len(values)), generator=generator)
    means = figures[rows].mean(1)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return float(figures.mean()), low, high


@functools.lru_cache(maxsize=1)
def problems(bench: Bench) -> Sequence[Problem]:
    """Free phases of random nets of one and of two hidden layers."""
    wirings = [bench.sizes(6, 3)]
    with suppress(SkippedError):
        wirings.append(bench.sizes(6, 4, 3))
    batch = min(BATCH, bench.capabilities.max_batch or BATCH)
    return [
        conditioned(bench.energy, bench.capabilities, wirings[seed % len(wirings)], seed, CANDIDATES, batch)
        for seed in range(bench.seed + 100, bench.seed + 100 + NETS)
    ]


def residual(bench: Bench) -> Iterator[Measured]:
    """The residual of settled states under the programmed weights, in units of the state."""
    largest, free_ones = [], []
    for problem in problems(bench):
        with bench.session(problem.network) as (session, _):
            free = session.settle(problem)
            free_ones.append(float(free.residual.mean()))
            largest.append(float(free.residual.max()))
    mean, low, high = bootstrap(free_ones, bench.seed)
    yield Measured("residual", mean, low, high, interval(NETS), text=f"largest {max(largest):.2g}")


def gradient(bench: Bench) -> Iterator[Measured]:
    """Cosine and length of the gradient against the exact one."""
    chosen, found = trials(bench), list(compared(bench).values())
    betas = sorted({one.beta for one in chosen})
    at = f"beta = {betas[0]:g}" + (f" … {betas[-1]:g}" if len(betas) > 1 else "")
    ideal, read = (sum(getattr(one, name) for one in chosen) / len(chosen) for name in ("ideal", "read"))
    text = f"at {at}; an ideal device has {ideal:.4f}, read as declared {read:.4f}"

    def measured(name: str, figures: Sequence[float], least: float | None = None, text: str = "") -> Measured:
        return Measured(name, *bootstrap(figures, bench.seed), interval(len(found)), least, text)

    yield measured("cosine", [one.programmed for one in found], bench.cosine, text)
    margin = -MARGIN if bench.cosine is None else None
    yield measured("cosine, less that of an ideal device read as declared", [one.beside for one in found], margin)
    yield measured("cosine for the net in full precision", [one.asked for one in found])
    yield measured("length, over the exact one", [one.length for one in found])


@functools.lru_cache(maxsize=1)
def trials(bench: Bench) -> Sequence[Trial]:
    """The nets on which an ideal device has the gradient right, with the strength of the nudge at which it does.

    Raises:
        SkippedError: the device has no nudge, its units have no derivative, or there are too few such nets.
    """
    if bench.capabilities.nudge == "none":
        raise SkippedError("it declares no nudge, so that equilibrium propagation has nothing to contrast")
    if not bench.energy.differentiable:
        raise SkippedError(f"units of {type(bench.energy).__name__} have no derivative, so there is no exact gradient")
    found = [one for problem in problems(bench) if (one := _trial(bench, problem)) is not None]
    if len(found) < NETS // 2:
        raise SkippedError(f"only on {len(found)} of {NETS} nets that fit does an ideal device have the exact gradient")
    return found


def _trial(bench: Bench, problem: Problem) -> Trial | None:
    outputs = problem.network.layers[problem.network.output].size
    labels = torch.arange(problem.batch) % outputs
    target = SquaredError().encode(labels, outputs, bench.energy, torch.float64)
    exact = _exact(bench, problem, target, problem.network, None)
    if exact is None:
        return None
    read = _as_declared(bench, problem)
    for beta in BETAS:
        one = Trial(problem, target, beta, 0.0, 0.0)
        ideal = _cosine(_centred(one, IDEAL.relax)[1], exact)
        if ideal >= ENOUGH:
            return attrs.evolve(one, ideal=ideal, read=_cosine(_centred(one, IDEAL.relax, read)[1], exact))
    return None


def _as_declared(bench: Bench, problem: Problem) -> Read:
    """How states come back through the noise and the levels that are declared."""
    said, placement = bench.capabilities, bench.backend.compile(problem.network, bench.energy)
    translation, rng = Translation(placement, bench.energy), np.random.default_rng(bench.seed)

    def read(phase: Problem, relaxation: Relaxation) -> Sequence[State]:
        values = translation.written(phase, relaxation.state)
        for layer in problem.network.unit_layers:
            units, ends = placement.units[layer.name], ends_of(layer, bench.energy, said)
            width = 1.0 if ends is None else ends[1] - ends[0]
            noise = rng.standard_normal((len(values), len(units))).clip(-6.0, 6.0)
            values[:, units] += said.readout_noise * width * noise
            if said.readout_bits is not None and ends is not None:
                is_circle = isinstance(bench.energy.domain(layer), Circle)
                values[:, units] = encoded(values[:, units], ends, said.readout_bits, is_circle)
        array = values if said.readout_bits is None else values.astype(np.int64)
        return translation.states(Readout(array), phase, "an ideal device")

    return read


def compared(bench: Bench, backend: DeviceBackend | None = None) -> Mapping[int, Compared]:
    """The gradient of the device of the bench, or of another one, by number of the trial.

    Raises:
        SkippedError: in too few of them there is a minimum where the device stands.
    """
    found = {}
    for index, one in enumerate(trials(bench)):
        with bench.session(one.problem.network, backend) as (session, _):
            free, got = _centred(one, session.settle)
            programmed = session.programmed
        real, asked = (_exact(bench, one.problem, one.target, net, free) for net in (programmed, one.problem.network))
        if real is not None and asked is not None:
            cosine, length = _cosine(got, real), float(_flat(got).norm() / real.norm())
            found[index] = Compared(cosine, _cosine(got, asked), length, cosine - one.read)
    if len(found) < NETS // 2:
        raise SkippedError(f"only on {len(found)} of {NETS} nets does it stand near a minimum")
    return found


def _exact(bench: Bench, problem: Problem, target: Tensor, network: Network, near: State | None) -> Tensor | None:
    """The exact gradient at the minimum that an ideal device finds from a state; None where it is no minimum."""
    at = Problem.free(network, bench.energy, problem.x)
    exact = exact_gradient(at, bench.ideal(at, network, near), SquaredError(), target)
    true = _flat(exact.gradients)
    return true if bool((exact.curvature > 0).all()) and float(true.norm()) > 0 else None


def _reads(phase: Problem, relaxation: Relaxation) -> Sequence[State]:
    return relaxation.states


def _centred(one: Trial, settle: Settle, read: Read = _reads) -> tuple[State, Gradients]:
    """The free state, and the centred contrast of two phases nudged from there, by parameter name."""
    free = settle(one.problem, None).state
    weighted = []
    for sign in (1, -1):
        phase = one.problem.nudged(SquaredError(), one.target, sign * one.beta)
        states = read(phase, settle(phase, free))
        weighted += [(sign * 0.5 / one.beta / len(states), state) for state in states]
    return free, contrast(one.problem, weighted)


def _flat(gradients: Gradients) -> Tensor:
    return torch.cat([gradients[name].flatten() for name in sorted(gradients)])


def _cosine(gradients: Gradients, exact: Tensor) -> float:
    return float(torch.cosine_similarity(_flat(gradients), exact, dim=0))
