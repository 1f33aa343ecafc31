"""Physics for the boards: quadratic units, hidden ones in [0, 1], outputs on the line."""

from torch import Tensor

from eb_core import Box, Domain, Energy, Layer, Line, configurable


@configurable
class Cells(Energy):
    """self(s) = 1/2 s^2."""

    unit = "cell"
    minimizes_exactly = True

    def domain(self, layer: Layer) -> Domain:
        return Line() if layer.role == "output" else Box(0.0, 1.0)

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return 0.5 * s.square()

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return s

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        aim = field[0] if curvature is None else field[0] / (1 + curvature[0])
        return self.domain(layer).project(aim)
