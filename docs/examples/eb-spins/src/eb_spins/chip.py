"""A chip with couplers of limited strength."""

from eb_core import Dense, Model, Network, configurable, option


class Coupler(Dense):
    """Dense, every weight in [-1, 1]."""

    bounds = {"weight": (-1.0, 1.0)}


@configurable
class Chip(Model):
    """Layers in a chain, joined by couplers."""

    input_gain: float = option(
        default=2.0, help="first weights of the input are U(+-gain / sqrt(fan-in)), others have gain 1", gt=0
    )
    output_gain: float = option(default=0.5, help="the same for the last edge", gt=0)
    hidden: tuple[int, ...] = option(default=(60,), help="units of each hidden layer", ge=1)

    def build(self, input_shape, outputs):
        names = ["input", *(f"hidden{k + 1}" for k in range(len(self.hidden))), "output"]
        shapes = [tuple(input_shape), *((size,) for size in self.hidden), (outputs,)]
        layers = list(zip(names, shapes, strict=True))
        gains = [self.input_gain, *(1.0 for _ in self.hidden[1:]), self.output_gain]
        ends = zip(layers, layers[1:], gains, strict=False)
        edges = [Coupler(a, b, m, n, gain=gain) for (a, m), (b, n), gain in ends]
        return Network(layers, edges)
