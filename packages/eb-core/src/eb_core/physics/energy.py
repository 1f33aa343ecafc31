"""The physics of a unit: its domain, its encoding on the wires, its self-energy, its read-out.

    E(theta, x, s) = sum_l self(s_l) - sum_l <b_l, u_l^0> - sum_e sum_c <drive_e(u_pre^c), u_post^c>
                     + 1/2 sum_l sum_c <a_l, (u_l^c)^2>

with u = encode(s), and a_l the self-terms of the edges at a layer. Hopfield and Ising amplitudes are their own encoding
(one channel); oscillators have two, u = (cos phi, sin phi), since cos(a - b) = cos a cos b + sin a sin b. The input x
is fixed and drives channel 0. Channel 0 of the output layer is the read-out, on which the cost acts.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor

from eb_core.network.network import Layer, Network
from eb_core.physics.domain import Domain
from eb_core.registry.setup import Diagnostic, Setup

KINDS = (Layer("hidden", (1,)), Layer("output", (1,), "output"))
"""A layer of each kind whose units settle: what an energy is asked about before a network is known."""


class Energy(ABC):
    """What a unit is. Everything is elementwise in the units, so a unit sees its own field and nothing else.

    Shapes: s is (B, *layer shape), encoded states and fields are (channels, B, *layer shape).
    """

    channels: int = 1
    unit: ClassVar[str] = ""
    """What a unit is, in a word that devices use, too: quadratic, phase, amplitude; empty where no device has it."""
    minimizes_exactly: ClassVar[bool] = False
    """Whether `minimize_unit` is the exact minimum: a unit just put there is then known to have no residual."""
    gain: float = 1.0
    """Weights start as U(+-gain / sqrt(fan_in)) where the model leaves the gain open."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        """A claim about `minimize_unit` belongs to the one beside it, and is not inherited by another one."""
        super().__init_subclass__(**arguments)
        if "minimize_unit" in vars(cls) and "minimizes_exactly" not in vars(cls):
            cls.minimizes_exactly = False

    @abstractmethod
    def domain(self, layer: Layer) -> Domain:
        """Where the states of this layer live."""

    @abstractmethod
    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        """self(s) of each unit, differentiable."""

    @abstractmethod
    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """New states that never increase the energy with all neighbours fixed.

            f(s) = self(s) - sum_c <field^c, u^c(s)> + 1/2 sum_c <a^c, u^c(s)^2>

        Args:
            layer: the layer of these units.
            field: (channels, B, *shape), from the neighbours and the bias; on the output the nudge's b is in it.
            s: current states; a step may start from them, an exact minimum ignores them.
            curvature: a, (channels, B or 1, *shape or 1s), from the nudge and from edges with a self-term; None for 0.
        """

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        """d self / ds of each unit; by autograd unless an energy knows better. Units without derivative have none."""
        recorded = torch.is_grad_enabled()
        with torch.enable_grad():
            state = s if s.requires_grad else s.detach().requires_grad_()
            energy = self.self_energy(layer, state).sum()
            if not energy.requires_grad:
                return torch.zeros_like(s)
            (slope,) = torch.autograd.grad(energy, state, create_graph=recorded, materialize_grads=True)
        return slope

    def encode(self, layer: Layer, s: Tensor) -> Tensor:
        """u = what the wires carry, (channels, B, *shape); default: the state itself."""
        return s.unsqueeze(0)

    def encode_vjp(self, layer: Layer, s: Tensor, field: Tensor) -> Tensor:
        """sum_c (du^c / ds) field^c: what a field on the encoded unit means for its state."""
        return field[0]

    def force(self, layer: Layer, s: Tensor, field: Tensor, code: Tensor) -> Tensor:
        """-dE/ds = -self'(s) + sum_c (du^c / ds) field^c; `code` is encode(s), which the caller has at hand."""
        return self.encode_vjp(layer, s, field) - self.self_derivative(layer, s)

    def with_readout(self, value: Tensor, s: Tensor) -> Tensor:
        """The state nearest to s whose read-out is `value`; what a clamped output is held at. Default: the value."""
        return value

    @property
    def readout_range(self) -> tuple[float, float]:
        """The pair of values that stand for "off" and "on"; the cost encodes labels into them."""
        return 0.0, 1.0

    @property
    def output_curvature(self) -> float:
        """Smallest self''(s) of an output unit, as a function of its read-out; inf where its domain is bounded anyway.

        F has a minimum only while this, plus the smallest self-term of edges at the output, plus beta times the cost's
        curvature is positive. 0 says that edges must bring it.
        """
        return 1.0

    @property
    def differentiable(self) -> bool:
        """Whether all states move continuously, so that there is a force -dE/ds and an exact gradient."""
        return all(self.domain(layer).differentiable for layer in KINDS)

    def initial_state(self, layer: Layer, batch: int, like: Tensor) -> Tensor:
        """Reference state that a free phase starts from, (batch, *shape), dtype and device of `like`."""
        return like.new_zeros(batch, *layer.shape)

    def init_(self, network: Network, generator: torch.Generator) -> None:
        """Draw weights and biases: edges by `Edge.init_`, biases U(+-bias_gain / sqrt(fan_in))."""
        fan_in: dict[str, int] = {}
        for edge in network.edges.values():
            edge.init_(self.gain, generator)
            fan_in.setdefault(edge.post, edge.fan_in)
        with torch.no_grad():
            for layer, bias in network.biases.items():
                bound = network.bias_gain / max(fan_in.get(layer, 1), 1) ** 0.5
                bias.uniform_(-bound, bound, generator=generator) if bound else bias.zero_()

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """What this physics has to say of what it is to work with; see `Setup`."""
        return ()
