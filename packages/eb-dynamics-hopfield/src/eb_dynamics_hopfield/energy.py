"""Hopfield energy: amplitudes with a quadratic self-energy, hidden units in the box [0, 1].

    E = sum_l 1/2 |s_l|^2 - sum_e <drive_e(s_pre), s_post> - sum_l <b_l, s_l>

Scellier et al., NeurIPS 2023 (arXiv 2312.15103), Sec. 3, with the self-energy written out: that paper's code
leaves it implicit, so what it logs as energy is not what it minimises.
"""

from typing import Literal

from torch import Tensor

from eb_core import Domain, Energy, Layer, configurable, option
from eb_core.things.domain import Box, Line
from eb_core.things.energy import Quadratic

_BOX, _LINE = Box(0.0, 1.0), Line()


@configurable
class HopfieldEnergy(Energy):
    """E = sum 1/2 |s|^2 - couplings - biases; u = s, read-out s, off/on = 0/1."""

    output: Literal["linear", "boxed"] = option(
        default="linear", help="domain of the output layer: the line, or the box [0, 1] of the hidden layers"
    )

    gain = 0.7

    def domain(self, layer: Layer) -> Domain:
        return _LINE if layer.role == "output" and self.output == "linear" else _BOX

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return 0.5 * s.square()

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return s

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, quadratic: Quadratic | None = None) -> Tensor:
        """P((g + b) / (1 + a)): the exact minimum of 1/2 s^2 - g s + 1/2 a s^2 - b s in the domain."""
        minimum = field[0]
        if quadratic is not None:
            a, b = quadratic
            minimum = (minimum + b) / (1 + a)
        return self.domain(layer).project(minimum)
