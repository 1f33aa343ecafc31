"""What lies outside the declaration is refused before anything is sent, or cut and counted."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from eb_core.diagnostics.resistive import Resistive
from eb_core.network.conv import Conv
from eb_core.network.dense import Dense
from eb_core.network.edge import Edge
from eb_core.network.lateral import Lateral
from eb_core.network.network import Network
from eb_core.physics.cross_entropy import CrossEntropy
from eb_core.physics.squared_error import SquaredError
from eb_core.registry import EbError, UsageError
from eb_core.settling.problem import Problem
from eb_core.testing.device_bench import Bench, Recorder
from eb_core.testing.device_nets import wired
from eb_core.testing.report import Case, SkippedError, words


def too_many_units(bench: Bench) -> Iterator[Case]:
    """One unit more than each column has."""
    said = bench.capabilities
    lines = said.input_lines if said.inputs == "units" else None
    if said.units is None and lines is None:
        raise SkippedError("it declares as many units as needed")
    counts = dict(said.units or {})
    if counts and said.topology == "any":
        total = sum(counts.values())
        yield _refused(bench, wired(1, (total - 1, 2)), f"{total + 1:,} units on {total:,}")
    elif counts:
        names, start = list(counts), bench.sizes(*([1] * len(counts)))
        for index, name in enumerate(names):
            sizes = [counts[name] + 1 if k == index else size for k, size in enumerate(start)]
            yield _refused(bench, wired(1, sizes), f"{counts[name] + 1:,} units in column {name}")
    if lines is not None:
        yield _refused(bench, wired(lines + 1, bench.sizes(1, 1)), f"{lines + 1:,} inputs")


def wrong_wiring(bench: Bench) -> Iterator[Case]:
    """Edges that the device has no wires for."""
    said, (a, b) = bench.capabilities, bench.sizes(2, 2)
    hidden, output = (a,), (b,)
    between = Dense("hidden1", "output", hidden, output)
    if said.topology != "any":
        yield _refused(bench, _net(a, b, between, Lateral("hidden1", hidden)), "couplings within a column")
    if said.topology == "chain" and len(said.units or {}) > 2:
        network = wired(1, bench.sizes(1, 1, 1))
        yield _refused(bench, _joined(network), "couplings between columns that are no neighbours")
    if not said.self_terms:
        yield _refused(bench, _net(a, b, Resistive("hidden1", "output", hidden, output)), "edges with a self-term")
    pooled = Conv("hidden1", "output", (1, 2, 2), 1, kernel=3, pool="max")
    layers = [("input", (1,)), ("hidden1", (1, 2, 2)), ("output", pooled.post_shape)]
    network = Network(layers, [Dense("input", "hidden1", (1,), (1, 2, 2)), pooled]).double()
    yield _refused(bench, network, "an edge that is no matrix of couplings")


def _net(a: int, b: int, *edges: Edge) -> Network:
    layers = [("input", (1,)), ("hidden1", (a,)), ("output", (b,))]
    return Network(layers, [Dense("input", "hidden1", (1,), (a,)), *edges]).double()


def _joined(network: Network) -> Network:
    """The same chain of three with a wire from its first to its last layer."""
    first, last = network.unit_layers[0], network.unit_layers[-1]
    layers = [(layer.name, layer.shape) for layer in network.layers.values()]
    more = Dense(first.name, last.name, first.shape, last.shape)
    return Network(layers, [*network.edges.values(), more]).double()


def _refused(bench: Bench, network: Network, what: str) -> Case:
    try:
        session = bench.open(network)
    except UsageError:
        return Case(f"{what}: refused", True)
    except Exception as error:  # noqa: BLE001 - whatever comes of it, it was not refused
        return Case(f"{what}: not refused, and then {words(error)}", False)
    with contextlib.suppress(EbError):
        session.close()
    return Case(f"{what}: accepted", False)


def wrong_phases(bench: Bench) -> Iterator[Case]:
    """Clamps, nudges and costs that are not offered."""
    said, network = bench.capabilities, bench.net()
    with bench.session(network) as (session, wire):
        problem = bench.samples(network)
        free = session.settle(problem)
        output, hidden = network.output, network.unit_layers[0].name
        readout = problem.readout(free.state)
        asked: list[tuple[str, Problem]] = []
        if said.clamp == "none":
            asked.append(("a clamped layer", problem.clamped({output: free.state[output]})))
        if said.clamp != "units":
            mask = torch.zeros_like(free.state[hidden], dtype=torch.bool)
            mask[:, 0] = True
            asked.append(("a clamped unit", problem.clamped({hidden: free.state[hidden]}, {hidden: mask})))
        if said.nudge == "none":
            asked.append(("a nudge", problem.nudged(SquaredError(), readout, 0.1)))
        if said.nudge == "quadratic":
            share = torch.full_like(readout, 1 / readout.shape[1])
            asked.append(("a nudge by cross-entropy", problem.nudged(CrossEntropy(), share, 0.1)))
        if not asked:
            raise SkippedError("it offers every clamp and every nudge")
        for what, phase in asked:
            before = len(wire.calls)
            try:
                session.settle(phase, free.state)
            except UsageError:
                yield Case(f"{what}: refused", len(wire.calls) == before)
            else:
                yield Case(f"{what}: accepted", False)


def clipping(bench: Bench) -> Iterator[Case]:
    """A coupling far outside the range is cut and counted; one in many is refused where too many would be lost."""
    said, network = bench.capabilities, bench.net()
    if said.weight_range is None:
        raise SkippedError("it declares no range of couplings")
    low, high = said.weight_range
    far = 3 * high if high > 0 else 3 * low
    with bench.session(network) as (session, wire):
        problem = bench.samples(network)
        session.settle(problem)
        before = session.counts.clipped
        edge = network.edges["hidden1-output"]
        with torch.no_grad():
            edge.weight[0, 0] = far
        session.settle(problem)
        counted = session.counts.clipped - before
        yield Case(f"{counted} clipped couplings were counted, there is one", counted >= 1)
        yield from _within_range(wire, low, high, bench.accuracy * (high - low))
        held = float(session.programmed.edges["hidden1-output"].weight.detach()[0, 0])
        end = float(bench.backend.compile(network, bench.energy).held(np.array([far]))[0][0])
        near = abs(held - end) <= bench.accuracy * (high - low)
        yield Case(f"a coupling of {far:g} is told to be {held:.4g} on the device, its end is {end:.4g}", near)
    if not bench.backend.allow_lossy:
        yield _refused(bench, network, f"a net with one of {_count(network)} couplings far outside")


def _count(network: Network) -> int:
    return sum(edge.weight.numel() for edge in network.edges.values() if edge.pre != network.input)


def _within_range(wire: Recorder, low: float, high: float, slack: float) -> Iterator[Case]:
    """What was sent lies in the range, and what acts, about so."""
    for (couplings,), answer in wire.of("program"):
        sent = [block.values for block in (*couplings.blocks, *couplings.inputs)]
        told = getattr(answer, "effective", None) or ()
        for what, blocks, beyond in (("sent", sent, 0.0), ("told as effective", told, slack)):
            for values in blocks:
                lowest, highest = float(np.min(values)), float(np.max(values))
                inside = low - beyond <= lowest and highest <= high + beyond
                yield Case(f"couplings {what} from {lowest:.3g} to {highest:.3g} lie in {low:g} … {high:g}", inside)
