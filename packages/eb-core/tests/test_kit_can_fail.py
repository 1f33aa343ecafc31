"""A conformance kit is worth what it finds: each broken component is named."""

import pytest
import torch
from foreign_physics import Amplitudes, Descent, Momentum, Phases, Springs
from torch import Tensor

from eb_core import Conv, Dense, Layer, State, View, configurable
from eb_core.learning.rule import GradientEstimate
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation
from eb_core.testing import (
    ConformanceError,
    check_cost,
    check_edge,
    check_energy,
    check_relaxer,
    check_rule,
    check_settles,
)


def test_a_force_that_is_not_minus_the_derivative_is_found() -> None:
    class Wrong(Springs):
        def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
            return 1.01 * s

    with pytest.raises(ConformanceError, match="force on hidden1 = -dF/ds: off by"):
        check_energy(Wrong())


def test_a_chain_rule_with_the_wrong_sign_is_found() -> None:
    class Wrong(Phases):
        def encode_vjp(self, layer: Layer, s: Tensor, field: Tensor) -> Tensor:
            return s.cos() * field[1] + s.sin() * field[0]

    with pytest.raises(ConformanceError, match="force on hidden1"):
        check_energy(Wrong())


def test_a_unit_that_climbs_under_a_nudge_is_found() -> None:
    class Wrong(Springs):
        def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
            return field[0] if curvature is None else field[0] / (1 - curvature[0])

    with pytest.raises(ConformanceError, match="minimize_unit on output raised F"):
        check_energy(Wrong())


def test_an_energy_that_draws_from_the_global_generator_is_found() -> None:
    class Wrong(Springs):
        def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
            torch.rand(1)
            return 0.5 * s.square()

    with pytest.raises(ConformanceError, match="global random state"):
        check_energy(Wrong())


def test_a_pullback_that_is_not_the_adjoint_is_found() -> None:
    class Wrong(Dense):
        def pullback(self, u_post: Tensor, plus: Tensor | None = None, context: object = None) -> Tensor:
            return 1.1 * super().pullback(u_post, plus, context)

    with pytest.raises(ConformanceError, match=r"pullback = d<drive\(u\), v>/du: off by"):
        check_edge(Wrong("a", "b", (3,), (2,)), (3,), (2,))


def test_a_linearised_drive_that_forgets_its_places_is_found() -> None:
    class Wrong(Conv):
        def drive_at(self, u_pre: Tensor, context: object) -> Tensor:
            return self.drive(u_pre)

    with pytest.raises(ConformanceError, match="drive_at is the transpose of pullback"):
        check_edge(Wrong("a", "b", (1, 4, 4), 2), (1, 4, 4), (2, 2, 2))


def test_a_dynamics_that_looks_at_the_neighbours_in_the_batch_is_found() -> None:
    @configurable
    class Wrong(Descent):
        def step(self, view: View) -> None:
            for layer in view.order():
                view.write(layer, view.minimized(layer) + 1e-3 * view.units[layer].mean(0))

    with pytest.raises(ConformanceError, match="iterations of it alone"):
        check_relaxer(Wrong(steps=3), Springs())


def test_a_dynamics_that_changes_the_memory_of_its_start_is_found() -> None:
    @configurable
    class Wrong(Momentum):
        def step(self, view: View) -> None:
            for value in view.memory.values():
                value.mul_(0.9)
            super().step(view)

    with pytest.raises(ConformanceError, match=r"the memory velocity.hidden1 of the start state is left alone"):
        check_relaxer(Wrong(steps=3), Springs())


def test_a_false_report_of_the_residual_is_found() -> None:
    @configurable
    class Wrong(Descent):
        def relax(self, problem: Problem, start: State | None = None, **rest: object) -> Relaxation:
            honest = Descent.relax(self, problem, start)
            return Relaxation(problem, honest.state, honest.steps, residual=0 * honest.steps.double())

    with pytest.raises(ConformanceError, match="residual is that of the state"):
        check_relaxer(Wrong(steps=3), Springs())


def test_a_dynamics_that_leaves_the_domain_is_found() -> None:
    @configurable
    class Wrong(Descent):
        def step(self, view: View) -> None:
            for layer in view.order():
                view.write(layer, view.units[layer] + 0.1)

    with pytest.raises(ConformanceError, match="stays in its domain"):
        check_relaxer(Wrong(steps=30, tol=0.0), Amplitudes())


def test_a_dynamics_that_does_not_settle_is_found() -> None:
    with pytest.raises(ConformanceError, match="converges on a convex energy"):
        check_settles([Descent(steps=2, tol=1e-9)], Springs())


def test_a_cost_with_a_wrong_derivative_or_bound_is_found() -> None:
    class Steep(SquaredError):
        def derivative(self, readout: Tensor, target: Tensor) -> Tensor:
            return 2 * (readout - target)

    class Bent(SquaredError):
        curvature = 0.5

    with pytest.raises(ConformanceError, match="derivative = dC/dr"):
        check_cost(Steep(), Springs())
    with pytest.raises(ConformanceError, match="no curvature above"):
        check_cost(Bent(), Springs())


def test_a_rule_that_forgets_a_parameter_or_writes_grad_is_found() -> None:
    class Forgetful:
        def estimate(self, session, x, target, cost, *, carry=None, generator=None):  # type: ignore[no-untyped-def]
            problem = Problem.free(session.network, session.energy, x)
            free = session.settle(problem, generator=generator)
            readout = problem.readout(free.state)
            gradients = {name: torch.zeros_like(value) for name, value in session.network.named_parameters()}
            self.spoil(session.network, gradients)
            return GradientEstimate(gradients, cost.value(readout, target), readout, {"free": free})

        def spoil(self, network, gradients):  # type: ignore[no-untyped-def]
            gradients.pop("biases.output")

    class Intrusive(Forgetful):
        def spoil(self, network, gradients):  # type: ignore[no-untyped-def]
            network.biases["output"].grad = torch.zeros_like(network.biases["output"])

    with pytest.raises(ConformanceError, match="a gradient for every parameter"):
        check_rule(Forgetful(), Descent(), Springs(), SquaredError())
    with pytest.raises(ConformanceError, match=r".grad of biases.output is left alone"):
        check_rule(Intrusive(), Descent(), Springs(), SquaredError())
