"""Graded Hopfield energy: smooth activations u = rho(s) of an unbounded potential s, linear outputs.

    E = sum_l [s_l rho(s_l) - R(s_l)] - sum_e <drive_e(u_pre), u_post> - sum_l <b_l, u_l>,   R' = rho

The self-energy is int_0^u rho^-1(v) dv of J. J. Hopfield, PNAS 81, 3088 (1984), eq. 5, up to a constant, as a function
of the potential: -dE/ds = rho'(s) (g - s) vanishes at s = g, so that a unit at rest shows rho of its field.

    softplus   rho = log(1 + e^s)       R = -Li2(-e^s)
    sigmoid    rho = 1 / (1 + e^-s)     R = log(1 + e^s)
    tanh       rho = tanh(s)            R = log cosh(s)
"""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from eb_core import Diagnostic, Domain, Energy, Layer, Line, Setup, configurable, option, refuse
from eb_dynamics_hopfield.dilogarithm import softplus_integral

Function = Callable[[Tensor], Tensor]


def _tanh_integral(s: Tensor) -> Tensor:
    return torch.logaddexp(s, -s) - math.log(2)


RHO: Final[Mapping[str, tuple[Function, Function, Function]]] = MappingProxyType(
    {
        "softplus": (F.softplus, torch.sigmoid, softplus_integral),
        "sigmoid": (torch.sigmoid, lambda s: torch.sigmoid(s) * torch.sigmoid(-s), F.softplus),
        "tanh": (torch.tanh, lambda s: 1 - torch.tanh(s).square(), _tanh_integral),
    }
)
"""rho, rho' and R by name; 0 <= rho' <= 1."""
_LINE = Line()


@configurable
class GradedHopfield(Energy):
    """E = sum s rho(s) - R(s) - couplings - biases; u = rho(s) in hidden layers, u = s at the output, off/on = 0/1."""

    activation: Literal["softplus", "sigmoid", "tanh"] = option(default="softplus", help="rho of hidden units")
    repeats: int = option(
        default=4,
        help="steps of a block update where edges have self-terms or are lateral; else one is exact",
        ge=1,
        le=100,
    )

    gain = 0.7

    def domain(self, layer: Layer) -> Domain:
        return _LINE

    def encode(self, layer: Layer, s: Tensor) -> Tensor:
        return (s if layer.role == "output" else RHO[self.activation][0](s)).unsqueeze(0)

    def encode_vjp(self, layer: Layer, s: Tensor, field: Tensor) -> Tensor:
        return field[0] if layer.role == "output" else RHO[self.activation][1](s) * field[0]

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        if layer.role == "output":
            return 0.5 * s.square()
        rho, _, integral = RHO[self.activation]
        return s * rho(s) - integral(s)

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return s if layer.role == "output" else s * RHO[self.activation][1](s)

    def force(self, layer: Layer, s: Tensor, field: Tensor, code: Tensor) -> Tensor:
        """rho'(s) (g - s)."""
        return self.encode_vjp(layer, s, field - s)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if self.activation == "tanh" and setup.network is not None and not setup.network.linear:
            yield refuse(
                "a maximum of fields bounds nothing where units may be negative: use average pooling, or sigmoid"
            )

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """s = g - a rho(s): for a = 0, and at the output, in one step.

        Else s <- s + (g - a rho(s) - s) / (1 + a), some times: the slope of s + a rho(s) lies between 1 and 1 + a, so
        no step leaps over the minimum.
        """
        g = field[0]
        if curvature is None:
            return g
        a = curvature[0]
        if layer.role == "output":
            return g / (1 + a)
        for _ in range(self.repeats):
            s = s + (g - a * RHO[self.activation][0](s) - s) / (1 + a)
        return s
