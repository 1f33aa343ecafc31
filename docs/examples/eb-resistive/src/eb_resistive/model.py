"""Deep resistive network: sources, hidden layers, outputs in a chain."""

from eb_core import Model, Network, configurable, option
from eb_resistive.edges import Resistors, Sources


@configurable
class DRN(Model):
    """Conductances between neighbouring layers; the input drives sources +x and -x, amplified by `input_gain`."""

    hidden: tuple[int, ...] = option(default=(100,), help="units of each hidden layer", ge=1)
    input_gain: float = option(default=20.0, help="voltage of a source for an input of 1", unit="V", gt=0)
    gain: float | None = option(
        default=None, help="conductances start as max(0, U(+-gain / sqrt(fan-in))); none: the energy's", gt=0
    )

    def build(self, input_shape, outputs):
        names = ["input", *(f"hidden{k + 1}" for k in range(len(self.hidden))), "output"]
        shapes = [tuple(input_shape), *((width,) for width in self.hidden), (outputs,)]
        edges = [Sources(names[0], names[1], shapes[0], shapes[1], self.input_gain, self.gain)]
        for k in range(1, len(names) - 1):
            edges.append(Resistors(names[k], names[k + 1], shapes[k], shapes[k + 1], self.gain))
        return Network(list(zip(names, shapes, strict=True)), edges)
