"""What is read: of each sample its own, in order; levels, noise, and the same state for the same drive."""

import math
from collections.abc import Iterator

import numpy as np
import torch

from eb_core.device.contract import Array
from eb_core.physics.domain import Circle
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.testing.device_bench import EQUAL, Bench
from eb_core.testing.device_nets import ends
from eb_core.testing.report import Case, SkippedError, within

LONG, LONGEST = 40, 600
"""Samples of a long batch where no largest one is declared, and at most."""
COUNTED_BITS, REACHED_BITS = 12, 8
"""Levels are counted up to so many bits, and all of them looked for up to so many."""
READS = 128
"""Reads of each unit that the noise is measured on."""
ABOUT = 2.0
"""Measured noise may be so many times the declared one, or that part of it."""


def samples_alone(bench: Bench) -> Iterator[Case]:
    """A batch settles as its samples do alone."""
    network = bench.net()
    with bench.session(network) as (session, _):
        problem = bench.samples(network)
        together = session.settle(problem).state
        for row in range(problem.batch):
            alone = session.settle(problem.select(torch.tensor([row]))).state
            off = bench.apart(together.select(slice(row, row + 1)), alone, network)
            yield within(f"sample {row}", off, bench.blur)


def long_batches(bench: Bench) -> Iterator[Case]:
    """More samples than the device takes at once are cut, and come back in order."""
    network, most = bench.net(), bench.capabilities.max_batch
    count = min(2 * most + 1, LONGEST) if most else LONG
    with bench.session(network) as (session, wire):
        problem = bench.samples(network, count)
        together = session.settle(problem).state
        sent = [drive.batch for (drive, *_), _ in wire.of("settle")]
        yield Case(
            f"sent were batches of {sorted(set(sent))}, declared is {most or 'any'}", max(sent) <= (most or count)
        )
        yield Case(f"{sum(sent)} samples were sent for {count}", sum(sent) >= count)
        rows = sorted({0, 1, count // 3, (most or count) - 1, min(most or 0, count - 1), count - 2, count - 1})
        for row in rows:
            alone = session.settle(problem.select(torch.tensor([row]))).state
            off = bench.apart(together.select(slice(row, row + 1)), alone, network)
            yield within(f"sample {row} of {count}", off, bench.blur)


def stacked_phases(bench: Bench) -> Iterator[Case]:
    """Phases with nudges of their own, settled as one batch, end as they do one after the other."""
    said = bench.capabilities
    if not said.stacks_phases or said.nudge == "none":
        raise SkippedError("it declares that all samples of a batch share a nudge, or that there is none")
    network, cost = bench.net(), SquaredError()
    with bench.session(network) as (session, _):
        problem = bench.samples(network, 3)
        free = session.settle(problem).state
        target = problem.readout(free).flip(0)
        phases = [problem.nudged(cost, target, beta) for beta in (-0.2, 0.2)]
        both = session.settle(Problem.stack(phases), State.cat([free, free])).split(phases)
        for beta, phase, stacked in zip(("-0.2", "+0.2"), phases, both, strict=True):
            alone = session.settle(phase, session.settle(problem).state).state
            yield within(f"beta = {beta}", bench.apart(stacked.state, alone, network), bench.blur)


def levels(bench: Bench) -> Iterator[Case]:
    """Units that are driven from end to end show as many levels as the read-out has, and not more."""
    said = bench.capabilities
    bits = said.readout_bits
    if bits is None:
        raise SkippedError("it declares a read-out without levels")
    if bits > COUNTED_BITS:
        raise SkippedError(f"levels are counted up to {COUNTED_BITS} bits, and it declares {bits}")
    network, gain = bench.probe(4, 2)
    hidden = network.unit_layers[0]
    points = 4 * 2**bits // hidden.size + 8
    total = sum(layer.size for layer in network.unit_layers)
    offsets = torch.arange(total, dtype=torch.float64) / total
    ramp = 0.6 * (2 * (torch.arange(points, dtype=torch.float64).unsqueeze(1) + offsets) / points - 1)
    with bench.session(network) as (session, wire):
        session.settle(Problem.free(network, bench.energy, 0.5 + ramp / gain))
        units = session.placement.units[hidden.name]
        read = np.concatenate([_values(answer.values)[..., units].ravel() for _, answer in wire.of("settle")])
    found = _distinct(read)
    yield Case(f"{found} levels were seen, {bits} bits are {2**bits}", found <= 2**bits)
    is_circle = isinstance(bench.energy.domain(hidden), Circle)
    if bits <= REACHED_BITS and not is_circle and bench.field_step <= bench.step / 2:
        yield Case(f"{found} levels were seen of {2**bits}, with units driven from end to end", found >= 2**bits)


def _values(values: Array) -> Array:
    return values.reshape(-1, values.shape[-1])


def _distinct(values: Array) -> int:
    """Number of values that are apart by more than rounding."""
    if values.dtype.kind in "iu":
        return len(np.unique(values))
    ordered = np.sort(values.astype(np.float64))
    return 1 + int(np.count_nonzero(np.diff(ordered) > EQUAL * max(float(np.ptp(ordered)), EQUAL)))


def noise(bench: Bench) -> Iterator[Case]:
    """Reads of one state, in the middle of its range, scatter as much as is declared."""
    declared = bench.capabilities.readout_noise
    if declared == 0:
        raise SkippedError("it declares no noise of the read-out")
    scatter = _scatter(bench)
    settling, rounding = bench.spread, bench.step / 12**0.5
    most = ABOUT * math.hypot(declared, settling) + rounding
    yield within(f"a scatter of {scatter:.2g} of the width, declared is {declared:.2g}", scatter, most)
    if declared > bench.step:
        least = declared / ABOUT
        yield Case(f"a scatter of {scatter:.2g} of the width, declared is {declared:.2g}", scatter >= least)


def _scatter(bench: Bench) -> float:
    """Root mean square deviation of reads from their mean, in widths of the range as it is read."""
    network, _ = bench.probe(4, 2)
    total = sum(layer.size for layer in network.unit_layers)
    most = min(bench.capabilities.max_batch or 16, 16)
    with bench.session(network) as (session, _):
        problem = Problem.free(network, bench.energy, torch.full((most, total), 0.5, dtype=torch.float64))
        states = [session.settle(problem).state for _ in range(math.ceil(READS / most))]
    variances = []
    for layer in network.unit_layers:
        reads, domain = torch.cat([state[layer.name].flatten(1) for state in states]), bench.energy.domain(layer)
        if isinstance(domain, Circle):
            variances.append((domain.distance(reads, domain.mean(reads)) / math.tau).square().mean(0))
        else:
            low, high = ends(layer, bench.energy, bench.capabilities)
            variances.append((reads / (high - low)).var(0))
    return float(torch.cat(variances).mean().sqrt())


def same_twice(bench: Bench) -> Iterator[Case]:
    """A device that is not stochastic settles to the same state again."""
    if bench.capabilities.stochastic:
        raise SkippedError("it declares that it is stochastic")
    network = bench.net()
    with bench.session(network) as (session, _):
        problem = bench.samples(network)
        first = session.settle(problem).state
        for time in ("second", "third"):
            again = session.settle(problem).state
            allowed = bench.blur if bench.width_of_noise else EQUAL
            yield within(f"the {time} time", bench.apart(first, again, network), allowed)
