"""What acts on units: couplings arrive, and act where they were put, both ways; biases, inputs, nudges, clamps pull."""

from collections.abc import Iterator

import torch
from torch import Tensor

from eb_core.device.session import DeviceSession
from eb_core.network.network import Network
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.problem import Problem
from eb_core.testing.device_bench import Bench
from eb_core.testing.device_nets import centre_, ends, filled, middle
from eb_core.testing.report import Case, SkippedError, within

STEPS = (0.1, 0.15, 0.2, 0.25, 0.3)
"""Fields by which a unit is raised and lowered to see how the others answer: several, so that levels average out."""
ROUGH = 0.3
"""Share of the response of all units that analog couplings may be off."""
PUSH = 0.3
"""Field to either side of the middle; a unit must follow from one to the other."""
BETAS = (0.2, 0.1)
PROPORTION = 0.4
"""How far the answer to a nudge may be from that of an ideal device, as a share of it."""


def weights_arrive(bench: Bench) -> Iterator[Case]:
    """New couplings lead elsewhere, about as far as they should, and the old ones back to where they led before."""
    network = bench.net()
    edge, other = (one.edges["hidden1-output"] for one in (network, bench.net(seed=1)))
    old, new = (one.weight.detach().clone() for one in (edge, other))
    with bench.session(network) as (session, _):
        problem = bench.samples(network)
        shown, ideal = [], []
        for weight in (old, new, old):
            with torch.no_grad():
                edge.weight.copy_(weight)
            shown.append(bench.mean_shown(session, problem))
            ideal.append(bench.shown(bench.ideal(problem, session.programmed), network))
        moved, wanted = (float((one[1] - one[0]).abs().max()) for one in (shown, ideal))
        what = f"with other couplings units moved by {moved:.2g} of the width, those of an ideal device by {wanted:.2g}"
        yield Case(what, moved >= wanted / 2 - bench.blur)
        off = float((shown[2] - shown[0]).abs().max())
        yield within("the old couplings lead back to the old state", off, bench.blur)


def zero_couplings(bench: Bench) -> Iterator[Case]:
    """Without couplings, after others, each unit is at its own minimum under its field."""
    network, gain = bench.probe(6, 3)
    filled(network, bench.energy, bench.capabilities, bench.seed)
    total = sum(layer.size for layer in network.unit_layers)
    generator = torch.Generator().manual_seed(bench.seed + 1)
    drawn = torch.rand(8, total, generator=generator, dtype=torch.float64) - 0.5
    x = 0.5 + (0.5 * drawn + 0.1 * drawn.sign()) / abs(gain)
    with bench.session(network) as (session, _):
        problem = Problem.free(network, bench.energy, x)
        session.settle(problem)
        with torch.no_grad():
            network.edges["hidden1-output"].weight.zero_()
        centre_(network, bench.energy, bench.capabilities)
        problem = Problem.free(network, bench.energy, x)
        settled = bench.mean_shown(session, problem)
        ideal = bench.shown(bench.ideal(problem, session.programmed), network)
        for row, off in enumerate((settled - ideal).abs().amax(1).tolist()):
            yield within(f"sample {row}", off, bench.slack)


def _response(bench: Bench, network: Network, gain: float, session: DeviceSession | None) -> Tensor:
    """du_i / dh_j of all units, (units, units), in units of the energy; of the device, or of an ideal one."""
    total = sum(layer.size for layer in network.unit_layers)
    steps = torch.tensor([*STEPS, *(-step for step in STEPS)], dtype=torch.float64)
    x = 0.5 + (steps.view(-1, 1, 1) / gain * torch.eye(total, dtype=torch.float64)).flatten(0, 1)
    problem = Problem.free(network, bench.energy, x)
    if session is None:
        shown = bench.shown(bench.ideal(problem, network), network)
    else:
        shown = bench.mean_shown(session, problem)
    slopes = torch.einsum("k,kji->ij", steps, shown.view(len(steps), total, total)) / steps.square().sum()
    return slopes * bench.widths(network).unsqueeze(1)


def _doubt(bench: Bench, network: Network, beside: Tensor) -> float:
    """What noise and levels of the read-out add to a response, over all pairs of units."""
    slope: float = bench.noise / sum(2 * step**2 for step in STEPS) ** 0.5
    return slope * float(bench.widths(network).square().mean().sqrt() * beside.sum().sqrt())


def _coupled(bench: Bench) -> tuple[Network, float]:
    size = min(bench.sizes(4, 4))
    network, gain = bench.probe(size, size)
    filled(network, bench.energy, bench.capabilities, bench.seed)
    return network, gain


def _responses(bench: Bench) -> tuple[Network, Tensor, Tensor, Tensor]:
    """A coupled net, the response of the device and of an ideal one, and which pairs are of two different units."""
    network, gain = _coupled(bench)
    with bench.session(network) as (session, _):
        got = _response(bench, network, gain, session)
        expected = _response(bench, session.programmed, gain, None)
    return network, got, expected, ~torch.eye(len(got), dtype=torch.bool)


def couplings_act(bench: Bench) -> Iterator[Case]:
    """Every unit answers a field on any other one as the couplings say that were programmed."""
    network, got, expected, beside = _responses(bench)
    size = float(expected[beside].norm())
    if size < bench.accuracy:
        raise SkippedError("the units of this physics answer nothing around the middle of their range")
    allowed = ROUGH + 2 * _doubt(bench, network, beside) / size
    for what, units in (("response of others", beside), ("response to a field of one's own", ~beside)):
        off = float((got - expected)[units].norm() / expected[units].norm())
        yield within(f"{what}, relative", off, allowed)


def couplings_are_symmetric(bench: Bench) -> Iterator[Case]:
    """Unit i answers a field on unit j as j answers one on i, as those of an ideal device do: there is an energy."""
    network, got, expected, beside = _responses(bench)
    size = float(got[beside].norm())
    if size < bench.accuracy:
        raise SkippedError("no unit answers a field on another one: see 'couplings act'")
    own = float((expected - expected.t()).norm() / expected[beside].norm().clamp(min=1e-12))
    if own > ROUGH / 2:
        raise SkippedError(
            "fields so large lead an ideal device to other minima, and its answers differ both ways, too"
        )
    allowed = ROUGH / 2 + own + 3 * _doubt(bench, network, beside) / size
    yield within("responses against their transpose, relative", float((got - got.t()).norm()) / size, allowed)


def biases_pull(bench: Bench) -> Iterator[Case]:
    """A lower bias of one unit shows there, with that sign."""
    network, _ = bench.probe(4, 3)
    total = sum(layer.size for layer in network.unit_layers)
    with torch.no_grad():
        for layer in network.unit_layers:
            network.biases[layer.name] += PUSH
    with bench.session(network) as (session, _):
        problem = Problem.free(network, bench.energy, torch.full((2, total), 0.5, dtype=torch.float64))
        before = bench.mean_shown(session, problem)[0]
        index = 0
        for layer in network.unit_layers:
            bias = network.biases[layer.name]
            for unit in range(min(layer.size, 2)):
                with torch.no_grad():
                    bias[unit] -= 2 * PUSH
                moved = float((bench.mean_shown(session, problem)[0] - before)[index + unit])
                with torch.no_grad():
                    bias[unit] += 2 * PUSH
                what = f"a bias that is {2 * PUSH:g} lower moved unit {unit} of {layer.name} by {moved:+.2g}"
                yield Case(what, moved < -4 * bench.noise)
            index += layer.size


def inputs_pull(bench: Bench) -> Iterator[Case]:
    """A larger input moves the unit that it drives and no other one, as its weight says."""
    network, gain = bench.probe(4, 3)
    total = sum(layer.size for layer in network.unit_layers)
    one = 2 * torch.eye(total, dtype=torch.float64)
    x = 0.5 + PUSH / gain * (torch.cat([torch.zeros(1, total), one]) - 1.0)
    with bench.session(network) as (session, _):
        shown = bench.mean_shown(session, Problem.free(network, bench.energy, x.double()))
    moved = shown[1:] - shown[0]
    for unit in range(total):
        own, others = float(moved[unit, unit]), moved[unit].abs()
        others[unit] = 0.0
        what = f"input {unit} moved its unit by {own:+.2g}, others by {float(others.max()):.2g}"
        yield Case(what, own > 4 * bench.noise and float(others.max()) <= 0.3 * own + 6 * bench.noise)


def nudges_pull(bench: Bench) -> Iterator[Case]:
    """The output moves to the target for beta > 0, away for beta < 0, as far as an ideal device's for small beta."""
    if bench.capabilities.nudge == "none":
        raise SkippedError("it declares no nudge")
    network, cost = bench.net(), SquaredError()
    with bench.session(network) as (session, _):
        problem = bench.samples(network, 12)
        free = session.settle(problem)
        low, high = ends(network.layers[network.output], bench.energy, bench.capabilities)
        generator = torch.Generator().manual_seed(bench.seed)
        readout = problem.readout(free.state)
        side = torch.rand(readout.shape, generator=generator, dtype=torch.float64) < 0.5
        target = torch.where(side, low, high).to(readout)
        ideal = bench.ideal(problem, session.programmed)
        resting = bench.mean_shown(session, problem)
        outputs = slice(-readout.shape[1], None)
        toward = torch.where(side, -1.0, 1.0)
        for beta in (*BETAS, *(-beta for beta in BETAS)):
            phase = problem.nudged(cost, target, beta)
            settled = bench.mean_shown(session, phase, free.state)
            moved = float(((settled - resting)[:, outputs] * toward).mean())
            wanted = bench.shown(bench.ideal(phase, session.programmed, ideal), network)
            expected = float(((wanted - bench.shown(ideal, network))[:, outputs] * toward).mean())
            noise = 4 * 2**0.5 * bench.noise / side.numel() ** 0.5
            yield Case(f"beta = {beta:+g} moved outputs by {moved:+.2g}, the target's way is +", moved * beta > 0)
            allowed = PROPORTION * abs(expected) + noise
            yield within(
                f"the way at beta = {beta:+g} ({moved:+.2g} of {expected:+.2g})", abs(moved - expected), allowed
            )


def clamps_hold(bench: Bench) -> Iterator[Case]:
    """The other units settle as they do beside units that are held at a value."""
    if bench.capabilities.clamp == "none":
        raise SkippedError("it declares no clamp")
    network = bench.net()
    with bench.session(network) as (session, _):
        problem = bench.samples(network)
        free = session.settle(problem).state
        output = network.layers[network.output]
        low, high = ends(output, bench.energy, bench.capabilities)
        found = []
        for value in (low, high):
            target = torch.full((problem.batch, *output.shape), value, dtype=torch.float64)
            held = {output.name: bench.energy.with_readout(target, middle(output, bench.energy, bench.capabilities))}
            phase = problem.clamped(held)
            found.append((session.settle(phase, free).state, bench.ideal(phase, session.programmed, free)))
            yield within(f"beside outputs held at {value:g}", bench.apart(*found[-1], network), bench.slack)
        yield Case(
            "held at another value, the others settle elsewhere",
            bench.apart(found[0][0], found[1][0], network) > bench.slack,
        )
        if bench.capabilities.clamp == "units":
            yield from _half(bench, session, problem)


def _half(bench: Bench, session: DeviceSession, problem: Problem) -> Iterator[Case]:
    """Every other unit of the hidden layer is held."""
    layer = session.network.unit_layers[0]
    mask = (torch.arange(layer.size) % 2 == 0).view(1, *layer.shape)
    low, high = ends(layer, bench.energy, bench.capabilities)
    for share in (0.1, 0.9):
        value = torch.full((problem.batch, *layer.shape), low + share * (high - low), dtype=torch.float64)
        held = bench.energy.with_readout(value, middle(layer, bench.energy, bench.capabilities))
        phase = problem.clamped({layer.name: held}, {layer.name: mask})
        settled, ideal = session.settle(phase).state, bench.ideal(phase, session.programmed)
        yield within(
            f"beside single units held at {share:g} of their range",
            bench.apart(settled, ideal, session.network),
            bench.slack,
        )
