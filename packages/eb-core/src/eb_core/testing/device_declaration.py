"""Is what a device declares consistent, and does all that it declares settle?"""

from collections.abc import Iterator

import numpy as np
import torch

from eb_core.device.capabilities import ANY, Capabilities
from eb_core.device.levels import fitted
from eb_core.device.placement import ends_of
from eb_core.physics.energy import KINDS
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.problem import Problem
from eb_core.testing.device_bench import Bench
from eb_core.testing.device_nets import wired
from eb_core.testing.report import Case, SkippedError, within

MOST_UNITS = 4096
"""More units than this are not filled at once."""


def declaration(bench: Bench) -> Iterator[Case]:
    """The capabilities against each other and the physics."""
    said, energy = bench.capabilities, bench.energy
    units = f"the unit of the energy is '{energy.unit}', that of the device '{said.unit}'"
    yield Case(units, said.unit in (energy.unit, ANY))
    for name, ends, bits in (
        ("weight_range", said.weight_range, said.weight_bits),
        ("field_range", said.field_range, said.field_bits),
    ):
        if ends is not None:
            nearest = float(fitted(np.zeros(1), ends, bits)[0][0])
            yield Case(f"{name} holds 0, the value of whatever is not used: the nearest is {nearest:g}", nearest == 0)
    if said.readout_bits is not None:
        for layer in KINDS:
            found = ends_of(layer, energy, said)
            yield Case(f"codes of {layer.role} units have a range to stand for", found is not None)
    if said.max_batch is not None:
        fits = said.at_once <= said.max_batch
        yield Case(f"at_once = {said.at_once} is no more than max_batch = {said.max_batch}", fits)
    yield Case(
        "a net with a hidden and an output layer has a place", bench.backend.compile(bench.net(), energy).faults == ()
    )


def probed(bench: Bench) -> Iterator[Case]:
    """What the device says of itself when it is asked, against what was declared for it."""
    said, own = bench.capabilities, bench.backend.probe()
    bench.serial = own.serial
    if own == said:
        raise SkippedError("the device says nothing of itself beside its declaration")
    yield Case(f"it says that a unit is '{own.unit}'", own.unit == said.unit)
    for name, (declared, real) in _limits(said, own).items():
        if real is not None:
            yield Case(f"it has {name} = {real:g}, declared is {declared}", declared is not None and real >= declared)
    for name in ("weight_range", "field_range"):
        declared_ends, real_ends = getattr(said, name), getattr(own, name)
        if real_ends is not None:
            inside = declared_ends is not None and real_ends[0] <= declared_ends[0] and declared_ends[1] <= real_ends[1]
            yield Case(f"its {name} is {list(real_ends)}, declared is {declared_ends and list(declared_ends)}", inside)


def _limits(said: Capabilities, own: Capabilities) -> dict[str, tuple[float | None, float | None]]:
    columns = {name: ((said.units or {}).get(name), count) for name, count in (own.units or {}).items()}
    numbers = {name: (getattr(said, name), getattr(own, name)) for name in ("max_batch", "input_lines")}
    return {**{f"units.{name}": pair for name, pair in columns.items()}, **numbers}


def settles(bench: Bench) -> Iterator[Case]:
    """A net that fits, free and nudged: states of the right shape, in their ranges, at the first try."""
    network = bench.net()
    with bench.session(network) as (session, _):
        problem = bench.samples(network)
        free = session.settle(problem)
        yield Case("a free phase", bool(torch.isfinite(problem.readout(free.state)).all()))
        if bench.capabilities.nudge != "none":
            target = problem.readout(free.state).flip(0)
            session.settle(problem.nudged(SquaredError(), target, 0.1), free.state)
            yield Case("a nudged phase", True)
        again = session.counts.reopened
        yield Case(f"the device was lost and opened anew {again} times", again == 0)


def every_unit(bench: Bench) -> Iterator[Case]:
    """A net of all units that are declared, each under a field of its own and without couplings."""
    said = bench.capabilities
    if said.units is None:
        raise SkippedError("it declares as many units as needed")
    if sum(said.units.values()) > MOST_UNITS:
        raise SkippedError(f"it has more units than {MOST_UNITS:,}, which is as many as are filled at once")
    counts = list(said.units.values())
    sizes = counts if said.topology != "any" else bench.sizes(sum(counts), sum(counts))
    network = wired(1, sizes)
    generator = torch.Generator().manual_seed(bench.seed)
    low, high = said.field_range or (-1.0, 1.0)
    with torch.no_grad():
        for bias in network.biases.values():
            drawn = torch.rand(bias.shape, generator=generator, dtype=torch.float64)
            bias.copy_(torch.where(drawn < 0.5, max(low, 0.0) + 0.2 * min(high, 1.0), 0.6 * min(high, 1.0)))
    with bench.session(network) as (session, _):
        problem = Problem.free(network, bench.energy, torch.zeros(2, 1, dtype=torch.float64))
        settled = session.settle(problem).state
        ideal = bench.ideal(problem, session.programmed)
        off = (bench.shown(settled, network) - bench.shown(ideal, network)).abs().amax(0)
        first = 0
        for layer in network.unit_layers:
            part = off[first : first + layer.size]
            first += layer.size
            yield within(f"unit {int(part.argmax())} of {layer.size} in {layer.name}", float(part.max()), bench.slack)
