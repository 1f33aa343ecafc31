"""Hopfield energy: amplitudes with a quadratic self-energy, hidden units between walls.

    E = sum_l 1/2 |s_l|^2 - sum_e <drive_e(s_pre), s_post> - sum_l <b_l, s_l>

A unit at its minimum is an activation of its field: cut to [0, 1] a hard sigmoid, to [0, inf) a ReLU, to [-1, 1] a hard
tanh. Scellier et al., NeurIPS 2023 (arXiv 2312.15103), Sec. 3, with the self-energy written out: that paper's code
leaves it implicit, so what it logs as energy is not what it minimises.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal

import torch
from torch import Tensor

from eb_core import Box, Diagnostic, Domain, Energy, Layer, Line, Network, Setup, configurable, notice, option, refuse
from eb_core.settling.coupling import coupling_norms

BOXES: Final[Mapping[str, Box]] = MappingProxyType(
    {"hard-sigmoid": Box(0.0, 1.0), "relu": Box(0.0, math.inf), "hard-tanh": Box(-1.0, 1.0)}
)
"""Where a unit lives, by the name of its activation."""
_LINE = Line()


@configurable
class HopfieldEnergy(Energy):
    """E = sum 1/2 |s|^2 - couplings - biases; u = s, read-out s, off/on = 0/1 (-1/1 at outputs boxed to [-1, 1])."""

    unit = "quadratic"

    activation: Literal["hard-sigmoid", "relu", "hard-tanh"] = option(
        default="hard-sigmoid", help="of hidden units, which live in [0, 1], in [0, inf) or in [-1, 1]"
    )
    output: Literal["linear", "boxed"] = option(
        default="linear", help="domain of the output layer: the line, or the box of the hidden layers"
    )

    gain = 0.7
    minimizes_exactly = True

    def domain(self, layer: Layer) -> Domain:
        return _LINE if layer.role == "output" and self.output == "linear" else BOXES[self.activation]

    @property
    def readout_range(self) -> tuple[float, float]:
        return (-1.0 if self.output == "boxed" and self.activation == "hard-tanh" else 0.0), 1.0

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return 0.5 * s.square()

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return s

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """P(g / (1 + a)): the exact minimum of 1/2 s^2 - g s + 1/2 a s^2 in the domain."""
        return self.domain(layer).project(field[0] if curvature is None else field[0] / (1 + curvature[0]))

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """Refuses pooling by the maximum of units that may be negative; says where units may run away."""
        network = setup.network
        if network is None:
            return
        if self.activation == "hard-tanh" and not network.linear:
            yield refuse(
                "a maximum of fields bounds nothing where units may be negative: use average pooling, or hard-sigmoid"
            )
        elif setup.with_notices:
            yield from self._runaway(network)

    def _runaway(self, network: Network) -> Iterator[Diagnostic]:
        """Says where units without walls may run away: a coupling norm of 1 and more among them."""
        free = {layer.name for layer in network.unit_layers if not _is_walled(self.domain(layer))}
        among = [edge for edge in network.edges.values() if {edge.pre, edge.post} <= free]
        if not among or not all(edge.linear for edge in among):
            return
        like = next(network.parameters())
        active = {name: like.new_ones(1, *network.layers[name].shape, dtype=torch.bool) for name in free}
        norm = float(coupling_norms(network, active, curvature=1.0, iterations=40))
        if not norm < 1:
            yield notice(
                f"the coupling norm {norm:.3g} of units without an upper wall ({', '.join(sorted(free))}) is not below"
                " 1: the energy may have no minimum. Multiply the gain of the edges between them by less than"
                f" {1 / norm:.2g}, or give them walls (activation = hard-sigmoid, output = boxed)"
            )


def _is_walled(domain: Domain) -> bool:
    return isinstance(domain, Box) and math.isfinite(domain.lower) and math.isfinite(domain.upper)
