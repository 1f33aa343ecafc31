"""Physics that the core does not know: phases, soft amplitudes, plain quadratic units; and a model and a rule.

They exist to hold the contracts against more than one dynamics; plugins bring the real ones.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from eb_core import (
    Box,
    Circle,
    Cost,
    Dense,
    Diagnostic,
    Domain,
    Energy,
    GradientEstimate,
    IterativeRelaxer,
    Layer,
    Line,
    Model,
    Network,
    Problem,
    Properties,
    Rule,
    Session,
    Setup,
    Spins,
    State,
    View,
    configurable,
    contrast,
    option,
    refuse,
)


@configurable
class Phases(Energy):
    """Oscillators: u = (cos s, sin s), no self-energy, read-out cos s in [-1, 1]."""

    channels = 2

    def domain(self, layer: Layer) -> Domain:
        return Circle()

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if setup.network is not None and not setup.network.linear:
            yield refuse("two maxima taken apart are no coupling")

    def encode(self, layer: Layer, s: Tensor) -> Tensor:
        return torch.stack([s.cos(), s.sin()])

    def encode_vjp(self, layer: Layer, s: Tensor, field: Tensor) -> Tensor:
        return s.cos() * field[1] - s.sin() * field[0]

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return 0 * s

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return 0 * s

    def with_readout(self, value: Tensor, s: Tensor) -> Tensor:
        return torch.where(s.sin() < 0, -1.0, 1.0) * value.clamp(-1, 1).arccos()

    @property
    def readout_range(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def output_curvature(self) -> float:
        return float("inf")  # the circle is compact: F has a minimum for every beta

    def initial_state(self, layer: Layer, batch: int, like: Tensor) -> Tensor:
        return like.new_full((batch, *layer.shape), torch.pi / 2)

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """atan2 of the field; 1/2 a cos^2 s is majorised by its tangent plane, in cos s for a < 0, else in sin s."""
        along, across = field[0], field[1]
        if curvature is not None:
            a = curvature[0] - curvature[1]
            along = along - a.clamp(max=0) * s.cos()
            across = across + a.clamp(min=0) * s.sin()
        return torch.atan2(across, along)


@configurable
class Amplitudes(Energy):
    """Double-well amplitudes in a box: self = s^2 / 4 + s^4 / 4, not quadratic."""

    def domain(self, layer: Layer) -> Domain:
        return Box(0.0, 1.0)

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return s.square() / 4 + s.pow(4) / 4

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return s / 2 + s.pow(3)

    @property
    def output_curvature(self) -> float:
        return 0.5

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """One projected step of length 1 / (largest curvature): it never climbs."""
        a = torch.zeros_like(s) if curvature is None else curvature[0]
        slope = self.self_derivative(layer, s) - field[0] + a * s
        return (s - slope / (3.5 + a.clamp(min=0))).clamp(0, 1)


@configurable
class Springs(Energy):
    """Quadratic units on the line: the simplest energy there is."""

    gain = 0.4

    def domain(self, layer: Layer) -> Domain:
        return Line()

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return 0.5 * s.square()

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return s

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        return field[0] if curvature is None else field[0] / (1 + curvature[0])


@configurable
class SpinGlass(Energy):
    """Spins +-1 without self-energy: the squared error is a field beta y on them."""

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if setup.network is not None and not setup.network.linear:
            yield refuse("a maximum of fields bounds nothing where spins may be negative")

    def domain(self, layer: Layer) -> Domain:
        return Spins()

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return torch.zeros_like(s)

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """The sign of the field; where there is none, a spin stays."""
        return torch.where(field[0] == 0, s, torch.where(field[0] < 0, -1.0, 1.0).to(s))

    @property
    def readout_range(self) -> tuple[float, float]:
        return -1.0, 1.0

    @property
    def output_curvature(self) -> float:
        return float("inf")

    def initial_state(self, layer: Layer, batch: int, like: Tensor) -> Tensor:
        return like.new_ones(batch, *layer.shape)


@configurable
class Descent(IterativeRelaxer):
    """Block minimisation, for every energy."""

    def properties(self) -> Properties:
        return Properties(needs_force=False)

    def step(self, view: View) -> None:
        for layer in view.order():
            view.write(layer, view.minimized(layer))


@configurable
class Momentum(IterativeRelaxer):
    """Heavy ball with field noise: a memory, a projection and a random draw, as physical dynamics have them."""

    def init(self, view: View, resumed: bool) -> None:
        for name in view.layers:
            view.memory.setdefault(f"velocity.{name}", torch.zeros_like(view.units[name]))

    def step(self, view: View) -> None:
        for name in view.layers:
            s = view.units[name]
            field = view.field(name) + 1e-3 * view.normal(name)
            velocity = 0.5 * view.memory[f"velocity.{name}"] + 0.2 * view.force(name, field)
            view.remember(f"velocity.{name}", velocity)
            view.write(name, view.project(name, s + velocity))


@configurable
class Chain(Model):
    """Dense layers of three and two hidden units."""

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        shapes = [input_shape, (3,), (2,), (outputs,)]
        names = ["input", "hidden1", "hidden2", "output"]
        edges = [Dense(names[i], names[i + 1], shapes[i], shapes[i + 1]) for i in range(3)]
        return Network(list(zip(names, shapes, strict=True)), edges)


@configurable
class Centred(Rule):
    """Centred equilibrium propagation in its shortest form."""

    beta: float = option(default=0.1, help="strength of the nudge", gt=0)

    def estimate(
        self,
        session: Session,
        x: Tensor,
        target: Tensor,
        cost: Cost,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        problem = Problem.free(session.network, session.energy, x)
        free = session.settle(problem, generator=generator)
        up, down = (session.settle(problem.nudged(cost, target, b), free.state) for b in (self.beta, -self.beta))
        weight = 0.5 / self.beta
        gradients = contrast(problem, [(weight, up.state), (-weight, down.state)])
        readout = problem.readout(free.state)
        return GradientEstimate(gradients, cost.value(readout, target), readout, {"free": free, "up": up, "down": down})
