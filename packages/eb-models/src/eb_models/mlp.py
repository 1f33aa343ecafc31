"""Multi-layer perceptron: dense layers in a chain, input -> hidden1 -> … -> output; lateral edges on request."""

import math

from eb_core import Model, Network, configurable, option
from eb_core.network.dense import Dense
from eb_core.network.edge import Edge
from eb_core.network.lateral import Lateral


@configurable
class MLP(Model):
    """Dense edges between neighbours, a full bias on every layer but the input; biases start at zero.

    With `lateral` the units of each hidden layer are coupled among each other, too: J = U + U', U strictly upper
    triangular.
    """

    hidden: tuple[int, ...] = option(default=(120,), help="units of each hidden layer; [] for none", ge=1)
    gain: tuple[float, ...] | None = option(
        default=None,
        help="weights start as U(+-gain / sqrt(fan-in)): one gain for each edge, or one for all; none: the energy's",
        gt=0,
    )
    lateral: bool = option(default=False, help="couple the units of each hidden layer among each other")
    lateral_gain: float = option(
        default=0.1,
        help="lateral weights start as U(+-lateral_gain / sqrt(units - 1))",
        gt=0,
        only_with={"lateral": (True,)},
    )

    def __attrs_post_init__(self) -> None:
        edges = len(self.hidden) + 1
        if self.gain is not None and len(self.gain) not in (1, edges):
            raise ValueError(f"{len(self.gain)} gains for {edges} edges: give one for all, or one for each")

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        """A network of `len(hidden) + 1` dense edges, and one lateral edge for each hidden layer if asked for."""
        edges = len(self.hidden) + 1
        gains = self.gain or (None,)
        names = ["input", *(f"hidden{index + 1}" for index in range(len(self.hidden))), "output"]
        sizes = [math.prod(input_shape), *self.hidden, outputs]
        shapes = [tuple(input_shape), *((size,) for size in sizes[1:])]
        wires: list[Edge] = [
            Dense(names[index], names[index + 1], shapes[index], shapes[index + 1], gains[index % len(gains)])
            for index in range(edges)
        ]
        if self.lateral:
            wires += [Lateral(name, shape, self.lateral_gain) for name, shape in zip(names, shapes, strict=True)][1:-1]
        return Network(list(zip(names, shapes, strict=True)), wires)
