"""Which unit of a device each unit of a network is, and what the device loses of it.

`place` is pure: it speaks to no device. Layers take units in order; on two columns those that are coupled stand in
different ones; on a chain each layer has a column of its own. Every misfit is found at once.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs
import numpy as np
import torch

from eb_core.device.capabilities import TURN, Capabilities
from eb_core.device.contract import Array, Block, Couplings
from eb_core.device.levels import fitted, step_of
from eb_core.network.edge import Edge
from eb_core.network.network import Layer, Network
from eb_core.physics.domain import Box, Circle, Spins
from eb_core.physics.energy import Energy

TOLERATED = 0.01
"""Share of the couplings that may be clipped without `allow_lossy`."""


@attrs.frozen(eq=False)
class Placement:
    """Where the units of a network are on a device.

    Args:
        units: layer -> device indices of its units, (size,) int64, in the order of the flattened layer.
        size: N, number of units of the device.
        faults: what cannot be placed, each with what is needed and what there is.
        losses: what the device does not hold exactly, in words, at the weights that were placed.
        clipped, couplings: number of couplings outside the range, and of all.
    """

    capabilities: Capabilities
    units: Mapping[str, Array]
    size: int
    faults: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    clipped: int = 0
    couplings: int = 0

    @property
    def is_lossy(self) -> bool:
        """Whether more couplings are clipped than is tolerated."""
        return self.clipped > TOLERATED * self.couplings

    @torch.no_grad()
    def program(self, network: Network, energy: Energy) -> tuple[Couplings, int]:
        """The couplings at the present weights, on the levels of the device, and how many of them were clipped."""
        blocks: list[Block] = []
        inputs: list[Block] = []
        clipped = 0
        for edge in network.edges.values():
            name, is_input = f"{edge.pre}-{edge.post}", edge.pre == network.input
            if is_input and self.capabilities.inputs == "fields":
                continue
            matrix = edge.as_matrix()
            assert matrix is not None, "place has refused other edges"
            values, outside = self.held(matrix.detach().double().cpu().numpy())
            columns = np.arange(values.shape[1]) if is_input else self.units[edge.pre]
            (inputs if is_input else blocks).append(Block(self.units[edge.post], columns, values, name))
            clipped += outside
        unit = attrs.asdict(cast(Any, energy)) if attrs.has(type(energy)) else {}
        outputs, (lowest, highest) = self.units[network.output], self._ends(network, energy)
        curvature = self._curvature(network)
        couplings = Couplings(self.size, tuple(blocks), outputs, lowest, highest, tuple(inputs), curvature, unit)
        return couplings, clipped

    def held(self, values: Array) -> tuple[Array, int]:
        """Couplings as the device holds them, and how many lie outside its range."""
        return fitted(values, self.capabilities.weight_range, self.capabilities.weight_bits)

    def _ends(self, network: Network, energy: Energy) -> tuple[Array, Array]:
        """Lowest and highest state of each unit, (N,) each."""
        lowest, highest = np.zeros(self.size), np.zeros(self.size)
        for layer in network.unit_layers:
            ends = ends_of(layer, energy, self.capabilities)
            is_open = ends is None or isinstance(energy.domain(layer), Circle)
            lowest[self.units[layer.name]], highest[self.units[layer.name]] = (
                (-np.inf, np.inf) if is_open or ends is None else ends
            )
        return lowest, highest

    def _curvature(self, network: Network) -> Array | None:
        bends = {layer.name: network.curvature(layer.name) for layer in network.unit_layers}
        if all(bend is None for bend in bends.values()):
            return None
        curvature = np.zeros(self.size)
        for layer in network.unit_layers:
            bend = bends[layer.name]
            if bend is not None:
                curvature[self.units[layer.name]] = bend.detach().double().cpu().expand(layer.shape).flatten().numpy()
        return curvature


def ends_of(layer: Layer, energy: Energy, capabilities: Capabilities) -> tuple[float, float] | None:
    """Lowest and highest state of a layer as the device reports it, or None where there is no end."""
    domain = energy.domain(layer)
    if isinstance(domain, Circle):
        return TURN
    if layer.role in capabilities.ranges:
        low, high = capabilities.ranges[layer.role]
        return low, high
    if isinstance(domain, Box):
        return (domain.lower, domain.upper) if math.isfinite(domain.upper - domain.lower) else None
    return (-1.0, 1.0) if isinstance(domain, Spins) else None


def place(network: Network, energy: Energy, capabilities: Capabilities) -> Placement:
    """Place the units of a network; see `Placement`."""
    size = sum(layer.size for layer in network.unit_layers)
    columns = _columns(network, capabilities)
    faults = [*_unplaceable(network, capabilities), *_unread(network, energy, capabilities)]
    if isinstance(columns, str):
        return Placement(capabilities, {}, size, (columns, *faults))
    placement = Placement(capabilities, columns, capabilities.size or size, tuple(faults))
    if faults:
        return placement
    couplings, clipped = placement.program(network, energy)
    total = sum(block.values.size for block in (*couplings.blocks, *couplings.inputs))
    return attrs.evolve(
        placement, losses=tuple(_losses(capabilities, clipped, total)), clipped=clipped, couplings=total
    )


def _columns(network: Network, capabilities: Capabilities) -> dict[str, Array] | str:
    """Device indices of each layer, or why there are none."""
    layers, units = network.unit_layers, capabilities.units
    if capabilities.topology == "any" or units is None:
        needed = sum(layer.size for layer in layers)
        size = capabilities.size
        if size is not None and needed > size:
            return f"the network has {needed:,} units that settle, and the device has {size:,}"
        ends = np.cumsum([0, *(layer.size for layer in layers)])
        return {layer.name: np.arange(ends[k], ends[k + 1]) for k, layer in enumerate(layers)}
    names = list(units)
    if capabilities.topology == "chain":
        if len(layers) > len(names):
            return f"the network has {len(layers)} layers that settle, and the device has {len(names)} columns"
        column = {layer.name: names[k] for k, layer in enumerate(layers)}
    else:
        column = {layer: names[k % 2] for k, group in enumerate(_sides(network)) for layer in group}
    offsets = dict(zip(names, np.cumsum([0, *units.values()])[:-1].tolist(), strict=True))
    taken = dict.fromkeys(names, 0)
    placed = {}
    for layer in layers:
        name = column[layer.name]
        first = offsets[name] + taken[name]
        taken[name] += layer.size
        placed[layer.name] = np.arange(first, first + layer.size)
    full = [
        f"column {name} needs {taken[name]:,} units and has {units[name]:,}"
        for name in names
        if taken[name] > units[name]
    ]
    return "; ".join(full) if full else placed


def _sides(network: Network) -> tuple[list[str], list[str]]:
    """Layers on two sides, each as far from the first one as the number of edges says: even, odd."""
    distance = {network.unit_layers[0].name: 0}
    for layer in network.unit_layers * 2:
        for edge in network.edges.values():
            for one, other in ((edge.pre, edge.post), (edge.post, edge.pre)):
                if one == layer.name and one in distance and other != network.input:
                    distance.setdefault(other, distance[one] + 1)
    sides: tuple[list[str], list[str]] = ([], [])
    for layer in network.unit_layers:
        sides[distance.get(layer.name, 0) % 2].append(layer.name)
    return sides


def _unplaceable(network: Network, capabilities: Capabilities) -> Iterator[str]:
    order = {layer.name: k for k, layer in enumerate(network.unit_layers)}
    side = {name: k for k, group in enumerate(_sides(network)) for name in group}
    for edge in network.edges.values():
        name = f"{edge.pre}-{edge.post}"
        if edge.pre == network.input:
            if capabilities.inputs == "units" and edge.as_matrix() is None:
                yield f"edge {name} ({type(edge).__name__}) is no matrix, and the device multiplies the input itself"
            continue
        if edge.as_matrix() is None:
            yield f"edge {name} ({type(edge).__name__}) is no matrix of couplings"
        if _has_self_term(edge) and not capabilities.self_terms:
            yield f"edge {name} ({type(edge).__name__}) bends its units by a self-term, and the device has none"
        near = abs(order[edge.pre] - order[edge.post])
        if capabilities.topology == "chain" and near != 1:
            yield f"edge {name} joins {'units of one column' if not near else 'columns that are no neighbours'}"
        if capabilities.topology == "bipartite" and side[edge.pre] == side[edge.post]:
            yield f"edge {name} joins units of one column"
    lines = network.layers[network.input].size
    if capabilities.inputs == "units" and capabilities.input_lines is not None and lines > capabilities.input_lines:
        yield f"the input has {lines:,} values, and the device has {capabilities.input_lines:,} lines"


def _has_self_term(edge: Edge) -> bool:
    return type(edge).curvature is not Edge.curvature


def _unread(network: Network, energy: Energy, capabilities: Capabilities) -> Iterator[str]:
    """Layers whose codes would have no meaning, and ranges that have none."""
    for role in capabilities.ranges:
        if any(layer.role == role and isinstance(energy.domain(layer), Circle) for layer in network.unit_layers):
            yield f"ranges.{role} means nothing for phases, which are reported in radians from 0 to 2 pi"
    if capabilities.readout_bits is not None:
        for role in dict.fromkeys(layer.role for layer in network.unit_layers):
            layer = next(layer for layer in network.unit_layers if layer.role == role)
            if ends_of(layer, energy, capabilities) is None:
                yield f"codes of {role} units need a range (ranges.{role}), as their domain has none"


def _losses(capabilities: Capabilities, clipped: int, total: int) -> Iterator[str]:
    if clipped and capabilities.weight_range is not None:
        low, high = capabilities.weight_range
        at = f"{high:g}" if low == -high else f"{low:g} and {high:g}"
        yield f"{clipped:,} of {total:,} couplings clipped at {at}"
    if capabilities.weight_bits is not None and capabilities.weight_range is not None:
        step = step_of(capabilities.weight_range, capabilities.weight_bits)
        yield f"couplings rounded to {capabilities.weight_bits} bits, steps of {step:.3g}"
    if capabilities.field_bits is not None and capabilities.field_range is not None:
        step = step_of(capabilities.field_range, capabilities.field_bits)
        yield f"fields rounded to {capabilities.field_bits} bits, steps of {step:.3g}"
    if capabilities.readout_bits is not None:
        yield f"states read with {capabilities.readout_bits} bits"
