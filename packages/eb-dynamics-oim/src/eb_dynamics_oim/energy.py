"""Oscillator Ising machine: each unit is a phase, coupled by the cosine of phase differences.

    E = - sum <W_0 x, cos phi_1> - sum W cos(phi_i - phi_j) - sum b cos phi - S/2 sum cos 2 phi

Two channels u = (cos phi, sin phi) carry it on the wires, since cos(a - b) = cos a cos b + sin a sin b. Bias and input
act on the cosine. With the field Fc of the cosine and Fs of the sine,

    -dE/dphi = Fs cos phi - (Fc + 2 S cos phi) sin phi

A. Gower, "How to train an oscillator Ising machine using equilibrium propagation", arXiv 2505.02103.
"""

import math
import warnings
from collections.abc import Iterable

import torch
from torch import Tensor

from eb_core import Circle, Diagnostic, Domain, Energy, Layer, Setup, configurable, option, refuse

_CIRCLE = Circle()

BEYOND = 1e-6
"""How far beyond +-1 a read-out may lie by rounding alone."""


@configurable
class OscillatorEnergy(Energy):
    """E of phases in radians; u = (cos phi, sin phi), read-out cos phi, off/on = -1/+1, rest at pi/2.

    S is one constant: the paper trains weights and biases only, and a machine applies one synchronisation signal to
    all oscillators. S > 0 pulls phases to 0 and pi, S < 0 to +-pi/2.
    """

    unit = "phase"

    sync: float = option(
        default=0.0, help="synchronisation field S: -S/2 cos 2 phi in every unit", unit="coupling", ge=-1e6, le=1e6
    )
    repeats: int = option(
        default=2, help="steps of one block update of a unit; one is exact where S' = S - beta/2 is 0", ge=1, le=100
    )

    channels = 2
    gain = 1.0

    def domain(self, layer: Layer) -> Domain:
        return _CIRCLE

    def encode(self, layer: Layer, s: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return torch.stack([s.cos(), s.sin()])
        code = s.new_empty(2, *s.shape)
        torch.cos(s, out=code[0])
        torch.sin(s, out=code[1])
        return code

    def force(self, layer: Layer, s: Tensor, field: Tensor, code: Tensor) -> Tensor:
        (cos, sin), (along, across) = code, field
        force = torch.addcmul(cos * across, sin, along, value=-1)
        return torch.addcmul(force, cos, sin, value=-2 * self.sync) if self.sync else force

    def encode_vjp(self, layer: Layer, s: Tensor, field: Tensor) -> Tensor:
        return s.cos() * field[1] - s.sin() * field[0]

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return -0.5 * self.sync * (2 * s).cos()

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return self.sync * (2 * s).sin()

    @property
    def readout_range(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def output_curvature(self) -> float:
        """Infinite: the circle is compact, so F has a minimum for every beta."""
        return math.inf

    def initial_state(self, layer: Layer, batch: int, like: Tensor) -> Tensor:
        """pi/2, where the read-out is 0."""
        return like.new_full((batch, *layer.shape), math.pi / 2)

    def with_readout(self, value: Tensor, s: Tensor) -> Tensor:
        """sign(sin s) arccos(value), sign(0) = +1: of the two phases with this read-out the one on the side of s.

        No phase reads out a value beyond +-1 (n-cpl and c-cpl overshoot): it is cut, with a warning.
        """
        if bool((value.abs() > 1 + BEYOND).any()):
            warnings.warn(
                "read-outs beyond +-1 were cut: no phase has them; a rule without overshoot is p-cpl", stacklevel=2
            )
        return torch.where(s.sin() < 0, -1.0, 1.0) * value.clamp(-1, 1).arccos()

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """phi <- atan2(Fs + 2 max(-S', 0) sin phi, Fc + 2 max(S', 0) cos phi),   S' = S - (a^0 - a^1) / 2

        -S'/2 cos 2 phi is concave in cos phi for S' > 0 and in sin phi for S' < 0, and is replaced by its tangent:
        exact for S' = 0, and no repetition ever climbs. What both channels share of a is constant, cos^2 + sin^2 = 1.
        """
        along, across = field[0], field[1]
        if curvature is None and self.sync == 0:
            return torch.atan2(across, along)
        bend = s.new_zeros(()) if curvature is None else curvature[0] - curvature[1]
        sync = self.sync - bend / 2
        along_pull, across_pull = 2 * sync.clamp(min=0), 2 * (-sync).clamp(min=0)
        for _ in range(self.repeats):
            s = torch.atan2(across + across_pull * s.sin(), along + along_pull * s.cos())
        return s

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        wires, inputs = (setup.network.edges.values(), setup.network.input) if setup.network is not None else ((), "")
        bent = [f"{edge.pre}-{edge.post}" for edge in wires if not edge.linear and edge.pre != inputs]
        if bent:
            yield refuse(
                f"the edges {', '.join(bent)} are not linear: a maximum of cosines and one of sines, taken apart, are"
                " no coupling cos(phi_i - phi_j); use strided or average-pooling edges"
            )
