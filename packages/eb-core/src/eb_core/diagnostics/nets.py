"""Random small networks for checks, always in float64.

Dense chains, one with skip edges, some with self-terms and lateral edges, and convolutional ones.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from eb_core.diagnostics.resistive import Resistive, ResistiveLateral
from eb_core.learning.fit import misfit
from eb_core.network.conv import Conv
from eb_core.network.dense import Dense
from eb_core.network.edge import Edge
from eb_core.network.lateral import Lateral
from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.registry.setup import Setup
from eb_core.settling.coupling import coupling_norms
from eb_core.settling.state import State

DENSE: Mapping[str, tuple[Sequence[int], Sequence[tuple[int, int]]]] = MappingProxyType(
    {
        "one hidden layer": ((5, 7, 3), ((0, 1), (1, 2))),
        "three hidden layers": ((5, 6, 4, 5, 3), ((0, 1), (1, 2), (2, 3), (3, 4))),
        "skip edges": ((5, 6, 4, 3), ((0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3))),
    }
)
"""Name -> sizes of the layers and pairs of layers that an edge joins."""
CHAIN = ((5, 7, 4, 3), ((0, 1), (1, 2), (2, 3)))
"""The same of the nets with self-terms and lateral edges."""
RESISTIVE, LATERAL, BOTH = "resistive", "lateral", "lateral and resistive"
CONVOLUTIONAL = ("convolutions", "max-pooling")
SHAPES = (*DENSE, RESISTIVE, LATERAL, BOTH, *CONVOLUTIONAL)
"""Names of the wirings; all edges between layers that settle are linear in all but the last."""
STATES = 16
"""Random states at which the coupling of edges that are not linear is measured."""


def fitting_shapes(energy: Energy) -> list[str]:
    """Names of the wirings on which this physics can run."""
    return [shape for shape in SHAPES if misfit(Setup(energy=energy, network=_wired(shape))) is None]


def random_network(energy: Energy, shape: str = "one hidden layer", seed: int = 0, coupling: float = 0.8) -> Network:
    """A network of one of `SHAPES` whose matrix of couplings between units has spectral norm `coupling`, or less.

    Below the smallest curvature of the self-energy (1 for Hopfield units) the energy is convex, so that every
    dynamics must find the same minimum. Conductances add at most twice `coupling` to the curvature of a unit. Biases
    are U(0, 0.5), so that units sit inside a box [0, 1]; U(-0.5, 0.5) with conductances, which would pull all phases to
    0 otherwise. Through max-pooling the coupling depends on the state, and the energy is not convex: there the norm is
    the largest of some random states.
    """
    network = _wired(shape)
    generator = torch.Generator().manual_seed(seed)
    energy.init_(network, generator)
    with torch.no_grad():
        for edge in network.edges.values():
            edge.weight.normal_(generator=generator).div_(edge.fan_in**0.5)
            if isinstance(edge, Resistive | ResistiveLateral):
                edge.weight.abs_()
        network.project_()
        bends = [bend.max() for layer in network.unit_layers if (bend := network.curvature(layer.name)) is not None]
        norm = _largest_norm(network, generator) if shape in CONVOLUTIONAL else coupling_norm(network)
        for edge in network.edges.values():
            if edge.pre != network.input or bends:
                edge.weight.mul_(coupling / max(norm, *(float(bend) / 2 for bend in bends), 0.0))
        for bias in network.biases.values():
            bias.uniform_(-0.5 if bends else 0.0, 0.5, generator=generator)
    return network


def coupling_norm(network: Network) -> float:
    """Largest singular value of the symmetric matrix of couplings between all units (edges with a matrix only)."""
    start, total = {}, 0
    for layer in network.unit_layers:
        start[layer.name] = total
        total += layer.size
    matrix = torch.zeros(total, total, dtype=torch.float64)
    for edge in network.edges.values():
        if edge.pre != network.input:
            rows, columns = edge.weight.shape
            block = edge.weight.detach().double()
            row, column = start[edge.post], start[edge.pre]
            matrix[row : row + rows, column : column + columns] += block
            matrix[column : column + columns, row : row + rows] += block.t()
    return float(torch.linalg.matrix_norm(matrix, 2))


def _largest_norm(network: Network, generator: torch.Generator) -> float:
    def drawn(shape: tuple[int, ...]) -> Tensor:
        return torch.rand(STATES, *shape, generator=generator, dtype=torch.float64)

    state = State({layer.name: drawn(layer.shape) for layer in network.unit_layers})
    everyone = {name: torch.ones_like(value, dtype=torch.bool) for name, value in state.units.items()}
    return float(coupling_norms(network, everyone, state=state, iterations=40).max())


def _wired(shape: str) -> Network:
    """The network of that name, all parameters 0."""
    if shape in CONVOLUTIONAL:
        return _convolutional(inner="max" if shape == "max-pooling" else "avg")
    sizes, pairs = DENSE.get(shape, CHAIN)
    names = ["input", *(f"hidden{index}" for index in range(1, len(sizes) - 1)), "output"]
    between: type[Dense] = Resistive if shape in (RESISTIVE, BOTH) else Dense
    edges = [between(names[a], names[b], (sizes[a],), (sizes[b],)) for a, b in pairs]
    if shape in (LATERAL, BOTH):
        within: type[Lateral] = ResistiveLateral if shape == BOTH else Lateral
        edges += [within("hidden1", (sizes[1],)), Lateral("output", (sizes[-1],))]
    return Network([(name, (size,)) for name, size in zip(names, sizes, strict=True)], edges).double()


def _convolutional(inner: str) -> Network:
    """input (1, 8, 8) - max - (2, 4, 4) - inner - (3, 2, 2) - strided - (3, 1, 1) - dense - 3; biases by channel."""
    first = Conv("input", "hidden1", (1, 8, 8), 2, pool="max")
    second = Conv("hidden1", "hidden2", first.post_shape, 3, pool="max" if inner == "max" else "avg")
    third = Conv("hidden2", "hidden3", second.post_shape, 3, kernel=2, stride=2, padding=0, pool="none")
    last = Dense("hidden3", "output", third.post_shape, (3,))
    edges: list[Edge] = [first, second, third, last]
    layers: list[tuple[str, Sequence[int]]] = [("input", (1, 8, 8))]
    layers += [(edge.post, edge.post_shape) for edge in (first, second, third, last)]
    biases = {name: (shape[0], 1, 1) if len(shape) == 3 else shape for name, shape in layers[1:]}
    return Network(layers, edges, bias_shapes=biases).double()
