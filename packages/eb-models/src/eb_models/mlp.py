"""Multi-layer perceptron: dense layers in a chain, input -> hidden1 -> … -> output."""

import math

from eb_core import Model, Network, configurable, option
from eb_core.things.dense import Dense


@configurable
class MLP(Model):
    """Dense edges between neighbours, a full bias on every layer but the input; biases start at zero."""

    hidden: tuple[int, ...] = option(default=(120,), help="units of each hidden layer; [] for none", ge=1)
    gain: tuple[float, ...] | None = option(
        default=None,
        help="weights start as U(+-gain / sqrt(fan-in)): one gain for each edge, or one for all; none: the energy's",
        gt=0,
    )

    def __attrs_post_init__(self) -> None:
        edges = len(self.hidden) + 1
        if self.gain is not None and len(self.gain) not in (1, edges):
            raise ValueError(f"{len(self.gain)} gains for {edges} edges: give one for all, or one for each")

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        """A network of `len(hidden) + 1` dense edges."""
        edges = len(self.hidden) + 1
        gains = self.gain or (None,)
        names = ["input", *(f"hidden{index + 1}" for index in range(len(self.hidden))), "output"]
        sizes = [math.prod(input_shape), *self.hidden, outputs]
        shapes = [tuple(input_shape), *((size,) for size in sizes[1:])]
        wires = [
            Dense(names[index], names[index + 1], shapes[index], shapes[index + 1], gains[index % len(gains)])
            for index in range(edges)
        ]
        return Network(list(zip(names, shapes, strict=True)), wires)
