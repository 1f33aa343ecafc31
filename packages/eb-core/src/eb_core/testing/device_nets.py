"""Small random nets that fit what a device declares: its columns, its wiring, its range of couplings and of fields.

Biases put every unit in the middle of its range where all units and all inputs are in the middle of theirs, so that
couplings, inputs and nudges move units that no wall holds.
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from eb_core.device.capabilities import Capabilities
from eb_core.device.placement import ends_of
from eb_core.diagnostics.nets import coupling_norm
from eb_core.diagnostics.well_conditioned import room
from eb_core.network.dense import Dense
from eb_core.network.network import Layer, Network
from eb_core.physics.domain import Box, Circle
from eb_core.physics.energy import Energy
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.view import View

COUPLING = 0.6
"""Largest singular value of the couplings between units: below 1 quadratic units have one minimum."""
FILLED = 0.6
"""Share of a declared range that couplings and biases take."""
DRAWS, GOOD = 12, 1e-3
"""Nets that are drawn at most until the samples of one are so well conditioned."""
SPREAD = 0.5
"""Strength of the input: its root mean square is this over the root of the fan-in."""


def wired(inputs: int, sizes: Sequence[int], *, drives_all: bool = False) -> Network:
    """A chain of layers that settle, the input joined to the first one or to all; all parameters are 0."""
    names = [*(f"hidden{index + 1}" for index in range(len(sizes) - 1)), "output"]
    driven = range(len(names)) if drives_all else range(1)
    edges = [Dense("input", names[index], (inputs,), (sizes[index],)) for index in driven]
    edges += [
        Dense(one, other, (size,), (next_size,))
        for (one, other), (size, next_size) in zip(pairwise(names), pairwise(sizes), strict=True)
    ]
    layers = [("input", (inputs,)), *((name, (size,)) for name, size in zip(names, sizes, strict=True))]
    return Network(layers, edges).double()


def fitting(capabilities: Capabilities, wanted: Sequence[int]) -> tuple[int, ...] | None:
    """The sizes that are wanted of a chain of layers, cut to what the device has; None if it has no such chain."""
    count, units = len(wanted), capabilities.units
    if units is None:
        return tuple(wanted)
    names = list(units)
    if capabilities.topology == "any":
        most = [capabilities.size or 0] * count
        share = sum(wanted)
        if sum(wanted) > most[0]:
            return tuple(max(1, size * most[0] // share) for size in wanted) if most[0] >= count else None
    elif capabilities.topology == "chain":
        if len(names) < count:
            return None
        most = [units[name] for name in names[:count]]
    else:
        most = [units[names[index % 2]] // ((count + 1 - index % 2) // 2) for index in range(count)]
    return None if min(most) < 1 else tuple(map(min, wanted, most))


def reach(capabilities: Capabilities) -> tuple[float, float]:
    """Lowest and highest coupling that is used: a share of the range, without one as large as needed."""
    low, high = capabilities.weight_range or (-math.inf, math.inf)
    return FILLED * min(low, 0.0), FILLED * max(high, 0.0)


def ends(layer: Layer, energy: Energy, capabilities: Capabilities) -> tuple[float, float]:
    """Lowest and highest read-out of a layer that is used, in the units of the energy."""
    domain = energy.domain(layer)
    if isinstance(domain, Circle):
        return -1.0, 1.0
    low, high = (domain.lower, domain.upper) if isinstance(domain, Box) else (-math.inf, math.inf)
    if not isinstance(domain, Box):
        low, high = ends_of(layer, energy, capabilities) or energy.readout_range
    low = low if math.isfinite(low) else min(high - 1.0, 0.0)
    return low, high if math.isfinite(high) else low + 1.0


def middle(layer: Layer, energy: Energy, capabilities: Capabilities, batch: int = 1) -> Tensor:
    """States in the middle of their range, (batch, *shape)."""
    if isinstance(energy.domain(layer), Circle):
        return energy.initial_state(layer, batch, torch.zeros((), dtype=torch.float64))
    low, high = ends(layer, energy, capabilities)
    return torch.full((batch, *layer.shape), (low + high) / 2, dtype=torch.float64)


@torch.no_grad()
def centre_(network: Network, energy: Energy, capabilities: Capabilities) -> None:
    """Set the biases so that units stand in the middle where all inputs are 1/2, within the range of fields."""
    for bias in network.biases.values():
        bias.zero_()
    state = State({layer.name: middle(layer, energy, capabilities) for layer in network.unit_layers})
    x = torch.full((1, *network.layers[network.input].shape), 0.5, dtype=torch.float64)
    view = View(Problem.free(network, energy, x), state)
    low, high = capabilities.field_range or (-math.inf, math.inf)
    for layer in network.unit_layers:
        unit = torch.zeros(energy.channels, 1, *layer.shape, dtype=torch.float64)
        unit[0] = 1.0
        answer = energy.encode_vjp(layer, state[layer.name], unit)
        bias = -view.force(layer.name) / torch.where(answer == 0, 1.0, answer)
        network.biases[layer.name].copy_(bias[0].clamp(FILLED * low, FILLED * high))


@torch.no_grad()
def random_net(
    energy: Energy, capabilities: Capabilities, sizes: Sequence[int], seed: int, coupling: float = COUPLING
) -> Network:
    """A chain with random couplings of that norm, or less, well inside the range of the device.

    Where nothing but couplings and fields holds a unit, as on a circle, fields are as much weaker as couplings are.
    """
    lines = capabilities.input_lines if capabilities.inputs == "units" else None
    network = wired(min(5, lines or 5), sizes)
    generator = torch.Generator().manual_seed(seed)
    for edge in network.edges.values():
        edge.weight.normal_(generator=generator).mul_(SPREAD / edge.fan_in**0.5)
        if edge.pre != network.input or capabilities.inputs == "units":
            _into(edge.weight, *reach(capabilities))
    scale = coupling / max(coupling_norm(network), 1e-12)
    low, high = reach(capabilities)
    for edge in network.edges.values():
        if edge.pre != network.input:
            largest, smallest = float(edge.weight.max()), float(edge.weight.min())
            scale = min(
                scale, high / largest if largest > 0 else math.inf, low / smallest if smallest < 0 else math.inf
            )
    share = scale * coupling_norm(network) / coupling if _is_circle(network, energy) else 1.0
    for edge in network.edges.values():
        edge.weight.mul_(share if edge.pre == network.input else scale)
    centre_(network, energy, capabilities)
    return network


def _is_circle(network: Network, energy: Energy) -> bool:
    return isinstance(energy.domain(network.unit_layers[0]), Circle)


def _into(weight: Tensor, low: float, high: float) -> None:
    """Signs that the device has, and nothing beyond its range."""
    if low == 0:
        weight.abs_()
    elif high == 0:
        weight.abs_().neg_()
    weight.clamp_(low, high)


def conditioned(
    energy: Energy, capabilities: Capabilities, sizes: Sequence[int], seed: int, candidates: int, batch: int
) -> Problem:
    """The best conditioned samples of a random net, in a free phase: of the first net that has enough of them.

    Units that have no derivative have no condition to choose by.
    """
    chosen: tuple[float, Problem] | None = None
    for draw in range(DRAWS):
        network = random_net(energy, capabilities, sizes, seed + 1000 * draw)
        shape, generator = network.layers[network.input].shape, torch.Generator().manual_seed(seed + draw)
        x = torch.rand(candidates, *shape, generator=generator, dtype=torch.float64)
        if not energy.differentiable:
            return Problem.free(network, energy, x[:batch])
        best = room(Problem.free(_at_full_scale(network, energy), energy, x)).topk(batch)
        if chosen is None or float(best.values[-1]) > chosen[0]:
            chosen = float(best.values[-1]), Problem.free(network, energy, x[best.indices.sort().values])
        if chosen[0] >= GOOD:
            break
    assert chosen is not None, "there is a draw"
    return chosen[1]


@torch.no_grad()
def _at_full_scale(network: Network, energy: Energy) -> Network:
    """On a circle the same net with couplings of norm `COUPLING`: it settles to the same states, but faster."""
    if not _is_circle(network, energy):
        return network
    stronger = copy.deepcopy(network)
    for parameter in stronger.parameters():
        parameter.mul_(COUPLING / coupling_norm(network))
    return stronger


@torch.no_grad()
def probe_net(energy: Energy, capabilities: Capabilities, sizes: Sequence[int]) -> tuple[Network, float]:
    """A chain without couplings whose input k acts on unit k alone, and by how much an input of 1 raises its field."""
    total = sum(sizes)
    low, high = reach(capabilities) if capabilities.inputs == "units" else (-1.0, 1.0)
    gain = min(high, 1.0) if high >= -low else max(low, -1.0)
    network = wired(total, sizes, drives_all=True)
    identity, first = gain * torch.eye(total, dtype=torch.float64), 0
    for layer in network.unit_layers:
        network.edges[f"input-{layer.name}"].weight.copy_(identity[first : first + layer.size])
        first += layer.size
    centre_(network, energy, capabilities)
    return network, gain


@torch.no_grad()
def filled(network: Network, energy: Energy, capabilities: Capabilities, seed: int, coupling: float = 0.5) -> None:
    """Give a probe net random couplings between its layers, of that norm or less."""
    drawn = random_net(energy, capabilities, [layer.size for layer in network.unit_layers], seed, coupling)
    for edge in network.edges.values():
        if edge.pre != network.input:
            edge.weight.copy_(drawn.edges[f"{edge.pre}-{edge.post}"].weight)
    centre_(network, energy, capabilities)
