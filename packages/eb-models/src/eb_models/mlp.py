"""Multi-layer perceptron: dense layers in a chain, input -> hidden1 -> … -> output."""

import math

from eb_core import Model, Network, UsageError, configurable, option
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

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        """A network of `len(hidden) + 1` dense edges.

        Raises:
            UsageError: the number of gains is neither 1 nor the number of edges.
        """
        edges = len(self.hidden) + 1
        gains = self.gain or (None,)
        if len(gains) not in (1, edges):
            raise UsageError(
                f"{len(gains)} gains for {edges} edges",
                origin="option 'gain' of model 'mlp'",
                advice="give one for each edge",
            )
        names = ["input", *(f"hidden{index + 1}" for index in range(len(self.hidden))), "output"]
        sizes = [math.prod(input_shape), *self.hidden, outputs]
        shapes = [tuple(input_shape), *((size,) for size in sizes[1:])]
        wires = [
            Dense(names[index], names[index + 1], shapes[index], shapes[index + 1], gains[index % len(gains)])
            for index in range(edges)
        ]
        return Network(list(zip(names, shapes, strict=True)), wires)
