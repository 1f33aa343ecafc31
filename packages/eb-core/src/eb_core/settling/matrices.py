"""The matrices of edges at fixed places: those that are a parameter itself stay where they are, others are copied."""

from collections.abc import Container

from torch import Tensor

from eb_core.network.edge import Edge
from eb_core.network.network import Network


class Matrices:
    """The matrices of the edges between layers that settle; of a lateral edge J = U + U'."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._edges = [edge for edge in network.edges.values() if edge.pre != network.input]
        self._values: dict[Edge, Tensor] = {}
        self._in_place: set[Edge] = set()
        self._moved = True

    def refresh(self) -> bool:
        """Read them anew; whether one lies elsewhere than before."""
        for edge in self._edges:
            matrix, known = edge.as_matrix(), self._values.get(edge)
            assert matrix is not None, "can_buffer has asked"
            lies_in_place = not edge.is_lateral and any(_is_same(matrix, value) for value in edge._parameters.values())
            if lies_in_place and known is not None and _is_same(matrix, known):
                continue
            matrix = matrix.detach()
            if edge.is_lateral:
                matrix = matrix + matrix.t()
            if known is not None and not lies_in_place and edge not in self._in_place and known.shape == matrix.shape:
                known.copy_(matrix)
                continue
            self._moved = True
            (self._in_place.add if lies_in_place else self._in_place.discard)(edge)
            self._values[edge] = matrix if lies_in_place else matrix.clone()
        moved, self._moved = self._moved, False
        return moved

    def terms(self, name: str, free: Container[str]) -> list[tuple[Tensor, str]]:
        """(matrix, neighbour) with field = base + sum of code(neighbour) @ matrix; those that do not settle first."""
        terms = [(self._values[edge].t(), edge.pre) for edge in self._network.incoming(name)]
        terms += [(self._values[edge], edge.post) for edge in self._network.outgoing(name) if not edge.is_lateral]
        return sorted(terms, key=lambda term: term[1] in free)


def _is_same(a: Tensor, b: Tensor | None) -> bool:
    """Whether two tensors are the same one, or views of the same elements."""
    if a is b or b is None:
        return a is b
    return (a.data_ptr(), a.stride(), a.shape, a.dtype) == (b.data_ptr(), b.stride(), b.shape, b.dtype)
