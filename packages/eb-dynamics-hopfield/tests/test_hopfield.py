"""This package alone: its energy and relaxers keep the promises of their contracts."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from eb_core import (
    Conv,
    Dense,
    Layer,
    Model,
    Network,
    Registry,
    Relaxer,
    Setup,
    UsageError,
    View,
    configurable,
    make_network,
)
from eb_core.diagnostics.problems import all_phases, residual_by_definition
from eb_core.learning.fit import notices
from eb_core.testing import check_energy, check_relaxer, check_settles, random_network, random_state
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy
from eb_dynamics_hopfield.flow import GradientFlow
from eb_dynamics_hopfield.graded import GradedHopfield
from eb_dynamics_hopfield.synchronous import HopfieldSync

RELAXERS = [Hopfield(), Hopfield(order="forward", nudge="iterated"), HopfieldSync(nudge="iterated"), GradientFlow()]
HIDDEN, OUTPUT = Layer("hidden", (1,)), Layer("output", (1,), "output")


def hardsigmoid(field: Tensor) -> Tensor:
    return field.clamp(0, 1)


@configurable
class _Pooled(Model):
    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        first = Conv("input", "a", input_shape, 2)
        second = Conv("a", "b", first.post_shape, 2)
        last = Dense("b", "output", second.post_shape, (outputs,))
        layers = [("input", input_shape), ("a", first.post_shape), ("b", second.post_shape), ("output", (outputs,))]
        return Network(layers, [first, second, last])


@pytest.mark.parametrize("output", ["linear", "boxed"])
@pytest.mark.parametrize(("activation", "phases"), [("hard-sigmoid", 72), ("relu", 72), ("hard-tanh", 63)])
def test_the_energy_keeps_its_promises_with_every_activation_and_output(
    activation: Any, phases: int, output: Any
) -> None:
    energy = HopfieldEnergy(activation=activation, output=output)
    assert check_energy(energy) == phases
    fused = [Hopfield(steps=7, nudged_steps=7, order="forward"), Hopfield(nudge="iterated", steps=5, nudged_steps=5)]
    for relaxer in fused:
        assert check_relaxer(relaxer, energy) == phases


@pytest.mark.parametrize(
    ("activation", "response"), [("hard-sigmoid", hardsigmoid), ("relu", F.relu), ("hard-tanh", F.hardtanh)]
)
def test_a_unit_at_its_minimum_is_the_activation_of_its_field(activation: Any, response: Any) -> None:
    field = torch.linspace(-4, 4, 81, dtype=torch.float64).view(1, 1, -1)
    energy = HopfieldEnergy(activation=activation)
    torch.testing.assert_close(energy.minimize_unit(HIDDEN, field, torch.zeros(1, 81)), response(field[0]))


@pytest.mark.parametrize(("activation", "phases"), [("softplus", 72), ("sigmoid", 72), ("tanh", 63)])
def test_the_graded_energy_keeps_its_promises_with_every_activation(activation: Any, phases: int) -> None:
    energy = GradedHopfield(activation=activation)
    assert check_energy(energy) == phases
    assert check_relaxer(Hopfield(steps=7, nudged_steps=7), energy) == phases


@pytest.mark.parametrize("activation", ["softplus", "sigmoid", "tanh"])
def test_the_graded_self_energy_is_the_integral_of_the_inverse_activation(activation: Any) -> None:
    energy, s = GradedHopfield(activation=activation), torch.linspace(-6, 6, 25, dtype=torch.float64)
    u = energy.encode(HIDDEN, s)[0]
    inverse = {
        "softplus": lambda u: (u.exp() - 1).log(),
        "sigmoid": torch.logit,
        "tanh": torch.atanh,
    }[activation]
    nodes, weights = (torch.tensor(values) for values in np.polynomial.legendre.leggauss(60))
    for i in range(24):  # between two neighbours, by Gauss-Legendre quadrature
        middle, half = (u[i + 1] + u[i]) / 2, (u[i + 1] - u[i]) / 2
        area = (inverse(middle + half * nodes) * weights).sum() * half
        own = energy.self_energy(HIDDEN, s[i : i + 2]).diff()
        assert float(own - area) == pytest.approx(0, abs=1e-12)


def test_nets_whose_units_may_run_away_are_warned_of() -> None:
    calm, wild = (random_network(HopfieldEnergy(), "lateral", coupling=norm) for norm in (0.5, 30.0))
    for energy in (HopfieldEnergy(activation="relu", output="boxed"), HopfieldEnergy()):
        assert notices(Setup(energy=energy, network=calm)) == []
        assert "the energy may have no minimum" in notices(Setup(energy=energy, network=wild))[0]
    assert notices(Setup(energy=HopfieldEnergy(output="boxed"), network=wild)) == []
    assert notices(Setup(energy=HopfieldEnergy(), network=random_network(HopfieldEnergy(), coupling=30.0))) == []
    assert (
        "hidden1, hidden2" in notices(Setup(energy=HopfieldEnergy(activation="relu", output="boxed"), network=wild))[0]
    )


def test_negative_units_refuse_max_pooling() -> None:
    for energy in (HopfieldEnergy(activation="hard-tanh"), GradedHopfield(activation="tanh")):
        with pytest.raises(UsageError, match="a maximum of fields bounds nothing"):
            make_network(_Pooled(), energy, (1, 8, 8), 3, generator=torch.Generator().manual_seed(0))


def test_gradient_flow_warns_where_self_terms_make_units_too_stiff_for_its_step() -> None:
    energy, network = HopfieldEnergy(), random_network(HopfieldEnergy(), "resistive")
    assert notices(Setup(relaxer=GradientFlow(), network=network, energy=energy)) == []
    with torch.no_grad():
        for edge in network.edges.values():
            edge.weight.mul_(5)
    assert "Lower dt" in notices(Setup(relaxer=GradientFlow(), network=network, energy=energy))[0]


@pytest.mark.parametrize("relaxer", RELAXERS, ids=repr)
def test_relaxers_keep_their_promises_on_a_boxed_output_too(relaxer: Relaxer) -> None:
    assert check_relaxer(relaxer, HopfieldEnergy(output="boxed")) == 72


def test_the_relaxers_agree_on_the_minimum_of_a_boxed_net() -> None:
    budget = {"steps": 600, "nudged_steps": 600, "tol": 1e-8, "nudged_tol": 1e-8, "check_every": 10}
    relaxers = [Hopfield(**budget), HopfieldSync(**budget), GradientFlow(**budget)]  # type: ignore[arg-type]
    assert check_settles(relaxers, HopfieldEnergy(output="boxed")) == 63


def test_the_closed_form_of_the_nudged_output_is_the_minimum_by_brute_force() -> None:
    field, beta, target = 0.7, 0.5, 1.0
    states = torch.linspace(-3, 3, 600001, dtype=torch.float64)
    values = 0.5 * states**2 - field * states + 0.5 * beta * (states - target) ** 2
    energy = HopfieldEnergy()
    found = energy.minimize_unit(
        OUTPUT, torch.full((1, 1, 1), field + beta * target), torch.zeros(1, 1), torch.full((1, 1, 1), beta)
    )
    assert float(found) == pytest.approx(float(states[values.argmin()]), abs=1e-5)


@pytest.mark.parametrize("order", ["colour", "forward"])
@pytest.mark.parametrize("output", ["linear", "boxed"])
def test_the_residual_right_after_an_iteration_is_that_of_the_state_though_fewer_layers_are_looked_at(
    output: str, order: str
) -> None:
    energy = HopfieldEnergy(output=output)  # type: ignore[arg-type]
    skipped = 0
    for nudge in ("closed", "iterated"):
        relaxer = Hopfield(order=order, nudge=nudge)  # type: ignore[arg-type]
        for where, problem in all_phases(energy):
            view = View(problem, random_state(problem))
            with torch.no_grad():
                relaxer.step(view)
                measured = relaxer.measure(view)
            skipped += len(view._at_rest)
            expected = residual_by_definition(problem, view.state())
            torch.testing.assert_close(measured, expected, rtol=0, atol=1e-14, msg=f"{nudge}, {where}")
    assert skipped >= 9, "no layer was known to be at rest"


def test_every_component_of_this_package_loads() -> None:
    registry = Registry.installed()
    records = {
        kind: [offer for offer in registry.offers(kind) if offer.plugin.distribution == "eb-dynamics-hopfield"]
        for kind in ("energy", "relaxer")
    }
    assert [len(found) for found in records.values()] == [2, 3]
    for kind, found in records.items():
        for offer in found:
            registry.load(kind, offer.component)()
