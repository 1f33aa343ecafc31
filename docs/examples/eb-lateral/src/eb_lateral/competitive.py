"""A chain of dense layers whose hidden units inhibit their neighbours."""

from itertools import pairwise

from eb_core import Dense, Lateral, Model, Network, configurable, option
from eb_lateral.ring import Ring


@configurable
class Competitive(Model):
    """Dense edges between neighbours, a `Ring` on every hidden layer, on request a `Lateral` edge on the output."""

    hidden: tuple[int, ...] = option(default=(120,), help="units of each hidden layer", ge=3)
    radius: int = option(default=3, help="how far a unit inhibits, to either side", ge=1)
    ring_gain: float = option(default=0.3, help="ring weights start as -U(0, gain / sqrt(2 radius))", gt=0)
    lateral: bool = option(default=False, help="couple all units of the output layer among each other")
    lateral_gain: float = option(
        default=0.1, help="their weights start as U(+-gain / sqrt(units - 1))", gt=0, only_with={"lateral": True}
    )

    def build(self, input_shape, outputs):
        names = ["input", *(f"hidden{k}" for k in range(1, len(self.hidden) + 1)), "output"]
        shapes = [tuple(input_shape), *((n,) for n in self.hidden), (outputs,)]
        layers = list(zip(names, shapes, strict=True))
        edges = [Dense(a, b, sa, sb) for (a, sa), (b, sb) in pairwise(layers)]
        edges += [Ring(name, shape, self.radius, self.ring_gain) for name, shape in layers[1:-1]]
        if self.lateral:
            edges.append(Lateral("output", (outputs,), self.lateral_gain))
        return Network(layers, edges)
