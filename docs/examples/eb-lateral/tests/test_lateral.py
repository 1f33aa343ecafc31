"""The edge and the model keep their promises, a memory completes patterns, inhibition stays inhibition."""

import math

import pytest
import torch
from eb_lateral.competitive import Competitive
from eb_lateral.memory import hebbian
from eb_lateral.ring import Ring

import eb_core as eb
from eb_core.diagnostics.well_conditioned import nets
from eb_core.testing import check_edge, check_model
from eb_dynamics_csb.relaxer import CSB
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy
from eb_dynamics_hopfield.flow import GradientFlow
from eb_rules.equilibrium_propagation import EquilibriumPropagation

DYNAMICS = (Hopfield, CSB, GradientFlow)


@pytest.mark.parametrize(("shape", "radius"), [((7,), 1), ((7,), 3), ((2, 5), 4)])
def test_the_ring_keeps_the_promises_of_an_edge(shape, radius):
    check_edge(Ring("a", shape, radius), shape, shape)


def test_the_energy_of_a_ring_is_the_sum_over_its_pairs():
    edge = Ring("a", (6,), 2)
    with torch.no_grad():
        edge.weight.copy_(torch.tensor([-0.5, -0.25]))
        u = torch.rand(3, 6, generator=torch.Generator().manual_seed(0))
        want = sum(0.5 * u[:, i] * u[:, (i + 1) % 6] + 0.25 * u[:, i] * u[:, (i + 2) % 6] for i in range(6))
        torch.testing.assert_close(-(edge.drive(u) * u).sum(1), want)


def test_too_wide_a_ring_is_refused():
    with pytest.raises(ValueError, match="radius"):
        Ring("a", (6,), 3)


@pytest.mark.parametrize("options", [{"hidden": (12, 9), "radius": 4}, {"hidden": (16,), "lateral": True}])
def test_the_model_keeps_its_promises_and_centred_ep_its_order(options):
    model, energy, cost = Competitive(**options), HopfieldEnergy(), eb.SquaredError()
    check_model(model, (1, 8, 8))
    ((_, problem),) = nets(energy, model)
    exactly = Hopfield(steps=5000, nudged_steps=5000, tol=1e-13, nudged_tol=1e-15, check_every=20)
    free = exactly.relax(problem)
    target = cost.encode(torch.arange(problem.batch) % 3, 3, energy, torch.float64)
    true = eb.exact_gradient(problem, free.state, cost, target).gradients
    session = eb.Simulator().open(problem.network, energy, exactly, device=torch.device("cpu"), dtype=torch.float64)
    errors = []
    for beta in (1e-2, 1e-3):
        rule = EquilibriumPropagation(variant="centered", beta=beta)
        found = rule.estimate(session, problem.x, target, cost).gradients
        errors.append(math.sqrt(sum(((found[n] - g) ** 2).sum() for n, g in true.items())))
    assert 80 < errors[0] / errors[1] < 125
    ample = {"steps": 3000, "nudged_steps": 3000, "tol": 1e-10}
    for dynamics in DYNAMICS:
        other = dynamics(**ample).relax(problem).state
        for name, value in free.state.units.items():
            torch.testing.assert_close(other[name], value, atol=1e-8, rtol=0)


def test_inhibition_stays_inhibition_in_training():
    x = torch.rand(80, 6, generator=torch.Generator().manual_seed(0))
    data = eb.Data.from_arrays(x[:60], (x[:60, 0] > x[:60, 1]).long(), test=(x[60:], (x[60:, 0] > x[60:, 1]).long()))
    rule = EquilibriumPropagation(variant="centered", beta=0.2)
    model = Competitive(hidden=(16,))
    net = eb.train(model, energy=HopfieldEnergy(), relaxer=Hopfield(), rule=rule, data=data, epochs=4, lr=0.1).net
    weight = net.network.get_parameter("edges.hidden1-hidden1.weight").detach()
    assert weight.shape == (3,)
    assert float(weight.max()) <= 0


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_a_memory_completes_half_a_pattern(dynamics):
    patterns = torch.randint(0, 2, (3, 60), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    energy = HopfieldEnergy(activation="hard-tanh", output="boxed")
    problem = eb.Problem.free(hebbian(patterns), energy, torch.zeros(3, 1))
    known = (torch.arange(60) < 30).unsqueeze(0)
    done = dynamics(nudged_steps=2000).relax(problem.clamped({"units": patterns}, {"units": known}))
    torch.testing.assert_close(done.state["units"], patterns)
