"""Where a phase starts, told by a net with two minima: the start decides in which of them it ends."""

import math
from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from eb_core.device.session import DeviceSession
from eb_core.network.network import Network
from eb_core.physics.domain import Circle
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.testing.device_bench import BATCH, Bench
from eb_core.testing.device_nets import centre_, reach
from eb_core.testing.report import Case, SkippedError, within

STRENGTHS = (1.3, 1.6, 2.0, 3.0)
"""Norms of the couplings that are tried: the first at which there are two minima is taken."""
APART = 0.4
"""Two minima are at least so far apart, in widths."""
PUSH = 1.5
"""Field, in widths, that pushes a unit to either end."""


@attrs.frozen(eq=False)
class TwoMinima:
    """A net that stays where it is: both minima, and the phases that lead to and from them.

    Args:
        free: the phase that has both minima.
        minima: the lower and the upper one.
        pushes: phases in which all units are pushed down, and up.
        half: of the distance of the minima, in widths, of the unit where they are nearest: a state that is nearer to
            one of them than this is in its valley.
    """

    network: Network
    free: Problem
    minima: tuple[State, State]
    pushes: tuple[Problem, Problem]
    half: float

    def apart(self, bench: Bench, one: State, other: State) -> float:
        """Largest distance of two states, in widths; of phases on the circle, as mirrored ones show the same."""
        distances = [
            bench.energy.domain(layer).distance(one[layer.name], other[layer.name]).max() / math.pi
            for layer in self.network.unit_layers
            if isinstance(bench.energy.domain(layer), Circle)
        ]
        return float(max(distances)) if distances else bench.apart(one, other, self.network)

    def nearest(self, bench: Bench, state: State) -> int:
        """Which minimum a state is at."""
        return min((0, 1), key=lambda side: self.apart(bench, state, self.minima[side]))


def two_minima(bench: Bench) -> TwoMinima:
    """A net with two minima that fits the device.

    Raises:
        SkippedError: none was found.
    """
    low, high = reach(bench.capabilities)
    strongest = high if high >= -low else low
    if bench.has_phases:
        return _mirrored(bench, low)
    for strength in STRENGTHS:
        size = 2 if math.isinf(strongest) else max(2, math.ceil(strength / (abs(strongest) * 2**0.5)))
        if bench.sizes(size, 2 * size) != (size, 2 * size):
            continue
        network, gain = bench.probe(size, 2 * size)
        with torch.no_grad():
            coupling = strength / (2**0.5 * size)
            network.edges["hidden1-output"].weight.fill_(coupling if strongest > 0 else -coupling)
        centre_(network, bench.energy, bench.capabilities)
        found = _minima(bench, network, gain, 1.0 if strongest > 0 else -1.0)
        if found is not None:
            return found
    raise SkippedError("no small net of this physics with two minima fits the device")


def _mirrored(bench: Bench, lowest: float) -> TwoMinima:
    """Phases that want to be at 0 and away from each other: +60 and -60 degrees, or the other way round."""
    size, coupling = 2, min(0.2, -lowest)
    if coupling <= 0 or bench.sizes(size, size) != (size, size):
        raise SkippedError("it has no negative couplings, which two minima of phases need")
    network, gain = bench.probe(size, size)
    with torch.no_grad():
        network.edges["hidden1-output"].weight.fill_(-coupling)
    centre_(network, bench.energy, bench.capabilities)

    def phase(field: float) -> Problem:
        x = torch.full((BATCH, 2 * size), 0.5 + field / gain, dtype=torch.float64)
        return Problem.free(network, bench.energy, x)

    free = phase(coupling * size)
    sides = ({"hidden1": way, "output": -way} for way in (-1.0, 1.0))
    starts = (State({name: torch.full((BATCH, size), way).double() for name, way in side.items()}) for side in sides)
    first, second = (bench.ideal(free, network, start) for start in starts)
    pushes = (phase(-PUSH), phase(PUSH))
    return TwoMinima(network, free, (first, second), pushes, half=0.25)


def _minima(bench: Bench, network: Network, gain: float, sign: float) -> TwoMinima | None:
    def phase(way: float) -> Problem:
        along = torch.cat(
            [torch.full((layer.size,), way if layer.role == "hidden" else way * sign) for layer in network.unit_layers]
        )
        x = 0.5 + along.double() / gain
        return Problem.free(network, bench.energy, x.expand(BATCH, -1).clone())

    free, pushes = phase(-0.01), (phase(-PUSH), phase(PUSH))
    minima = tuple(bench.ideal(free, network, bench.ideal(push, network)) for push in pushes)
    distance = (bench.shown(minima[1], network) - bench.shown(minima[0], network)).abs().amin()
    inside = all(_is_inside(bench, network, state) for state in minima)
    if float(distance) <= APART or not inside:
        return None
    return TwoMinima(network, free, (minima[0], minima[1]), pushes, float(distance) / 2)


def _is_inside(bench: Bench, network: Network, state: State) -> bool:
    """Whether the device can report all units of a state."""
    shown: Tensor = bench.shown(state, network)
    return bool(((shown > -0.01) & (shown < 1.01)).all())


def reset_forgets(bench: Bench) -> Iterator[Case]:
    """A phase without a start ends where it ended before, whatever was settled in between."""
    if "reset" not in bench.capabilities.starts:
        raise SkippedError("it declares no reset")
    net = two_minima(bench)
    with bench.session(net.network) as (session, _):
        first = session.settle(net.free).state
        for way, push in zip(("down", "up"), net.pushes, strict=True):
            session.settle(push)
            again = session.settle(net.free).state
            off = bench.apart(first, again, net.network)
            yield within(f"after all units were pushed {way}", off, bench.slack)


def last_goes_on(bench: Bench) -> Iterator[Case]:
    """A phase that starts where the device stands ends in the minimum that it stands in."""
    if "last" not in bench.capabilities.starts:
        raise SkippedError("it cannot go on where it stands")
    net = two_minima(bench)
    if bench.has_phases:
        raise SkippedError("no field pushes a phase to one side of the circle")
    with bench.session(net.network) as (session, _):
        for side, (way, push) in enumerate(zip(("lower", "upper"), net.pushes, strict=True)):
            stands = session.settle(push).state
            yield _stays(bench, session, net, stands, side, f"from the {way} end")


def write_starts_there(bench: Bench) -> Iterator[Case]:
    """A phase starts at the state that is handed over, sample by sample; one that is settled stays."""
    if "write" not in bench.capabilities.starts:
        raise SkippedError("it cannot be set to a state")
    net = two_minima(bench)
    upper = torch.arange(BATCH) % 2 == 1
    mixed = State.where(upper, net.minima[1], net.minima[0])
    with bench.session(net.network) as (session, _):
        for side, way in enumerate(("lower", "upper")):
            yield _stays(bench, session, net, net.minima[side].map(torch.clone), side, f"from the {way} minimum")
        settled = session.settle(net.free, mixed).state
        off = net.apart(bench, settled, mixed)
        yield within("every other sample from the upper one", off, max(net.half, bench.slack))


def _stays(bench: Bench, session: DeviceSession, net: TwoMinima, start: State, side: int, what: str) -> Case:
    settled = session.settle(net.free, start).state
    off = net.apart(bench, settled, net.minima[side])
    found = ("lower", "upper")[net.nearest(bench, settled)]
    return within(f"{what}, it ended in the {found} one", off, max(net.half, bench.slack))


def left_alone(bench: Bench) -> Iterator[Case]:
    """Weights, inputs and the state that a phase starts from are not changed by settling."""
    network = bench.net()
    weights = {name: value.detach().clone() for name, value in network.named_parameters()}
    with bench.session(network) as (session, _):
        problem = bench.samples(network)
        x = problem.x.clone()
        free = session.settle(problem).state
        start = free.map(torch.clone)
        kept = start.map(torch.clone)
        session.settle(problem, start)
        for name, value in start.units.items():
            yield Case(f"the start state of {name}", torch.equal(value, kept[name]))
        yield Case("the input", torch.equal(problem.x, x))
        if bench.backend.shadow:
            same = all(torch.equal(value, weights[name]) for name, value in network.named_parameters())
            yield Case("the weights in full precision", same)
