"""Random small networks for checks, always in float64: chains, and one with skip edges."""

from collections.abc import Sequence

import torch

from eb_core.things.dense import Dense
from eb_core.things.energy import Energy
from eb_core.things.network import Network

SHAPES: dict[str, tuple[Sequence[int], Sequence[tuple[int, int]]]] = {
    "one hidden layer": ((5, 7, 3), ((0, 1), (1, 2))),
    "three hidden layers": ((5, 6, 4, 5, 3), ((0, 1), (1, 2), (2, 3), (3, 4))),
    "skip edges": ((5, 6, 4, 3), ((0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3))),
}
"""Name -> sizes of the layers and pairs of layers that an edge joins."""


def random_network(energy: Energy, shape: str = "one hidden layer", seed: int = 0, coupling: float = 0.8) -> Network:
    """A network of `SHAPES[shape]` whose matrix of couplings between units has spectral norm `coupling`.

    Below the smallest curvature of the self-energy (1 for Hopfield units) the energy is convex, so that every
    dynamics must find the same minimum. Biases are U(0, 0.5), so that units sit inside a box [0, 1].
    """
    sizes, pairs = SHAPES[shape]
    names = ["input", *(f"hidden{index}" for index in range(1, len(sizes) - 1)), "output"]
    edges = [Dense(names[a], names[b], (sizes[a],), (sizes[b],)) for a, b in pairs]
    network = Network([(name, (size,)) for name, size in zip(names, sizes, strict=True)], edges).double()
    generator = torch.Generator().manual_seed(seed)
    energy.init_(network, generator)
    with torch.no_grad():
        for edge in edges:
            edge.weight.normal_(generator=generator).div_(edge.fan_in**0.5)
        scale = coupling / coupling_norm(network)
        for edge in edges:
            if edge.pre != network.input:
                edge.weight.mul_(scale)
        for bias in network.biases.values():
            bias.uniform_(0, 0.5, generator=generator)
    return network


def coupling_norm(network: Network) -> float:
    """Largest singular value of the symmetric matrix of couplings between all units (dense edges only)."""
    start, total = {}, 0
    for layer in network.unit_layers:
        start[layer.name] = total
        total += layer.size
    matrix = torch.zeros(total, total, dtype=torch.float64)
    for edge in network.wires:
        if edge.pre != network.input:
            rows, columns = edge.weight.shape
            block = edge.weight.detach().double()
            row, column = start[edge.post], start[edge.pre]
            matrix[row : row + rows, column : column + columns] = block
            matrix[column : column + columns, row : row + rows] = block.t()
    return float(torch.linalg.matrix_norm(matrix, 2))
