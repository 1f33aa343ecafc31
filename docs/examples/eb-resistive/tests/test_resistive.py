"""The package keeps the promises of its contracts, and centred EP is the gradient up to beta^2."""

import pytest
import torch
from eb_resistive.edges import Resistors, Sources
from eb_resistive.energy import Resistive
from eb_resistive.model import DRN

import eb_core as eb
from eb_core.learning.fit import misfit
from eb_core.testing import check_edge, check_energy, check_model, check_relaxer, check_settles
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.flow import GradientFlow
from eb_rules.equilibrium_propagation import EquilibriumPropagation

AMPLE = {"steps": 5000, "nudged_steps": 5000, "tol": 1e-9}


def drn_problem():
    network = eb.make_network(
        DRN(hidden=(7, 5), input_gain=8.0),
        Resistive(),
        (6,),
        3,
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    x = torch.rand(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return eb.Problem.free(network, Resistive(), x)


def test_the_parts_keep_their_promises():
    assert check_energy(Resistive()) > 0
    assert check_relaxer(Hopfield(), Resistive()) > 0
    assert check_settles([Hopfield(**AMPLE), GradientFlow(**AMPLE)], Resistive()) > 0
    for shapes in (((2, 3), (4,)), ((5,), (2, 2))):
        check_edge(Resistors("a", "b", *shapes), *shapes)
        check_edge(Sources("a", "b", *shapes, volts=5.0), *shapes)
    for hidden in ((), (8,), (8, 5)):
        check_model(DRN(hidden=hidden), (1, 8, 8))


def test_the_energy_is_half_the_power_that_the_circuit_dissipates():
    problem = drn_problem()
    settled = Hopfield(**AMPLE).relax(problem)
    net, v = problem.network, {name: settled.state[name] for name in ("hidden1", "hidden2", "output")}
    up, down = net.get_parameter("edges.input-hidden1.weight")
    source = 8.0 * problem.x

    def power(g, a, b):
        return 0.5 * (g * (a[:, None, :] - b[:, :, None]) ** 2).sum((1, 2))

    want = power(up, source, v["hidden1"]) + power(down, -source, v["hidden1"])
    want = want + power(net.get_parameter("edges.hidden1-hidden2.weight"), v["hidden1"], v["hidden2"])
    want = want + power(net.get_parameter("edges.hidden2-output.weight"), v["hidden2"], v["output"])
    torch.testing.assert_close(settled.energy, want.detach())
    assert (v["hidden1"][:, :4] >= 0).all()
    assert (v["hidden1"][:, 4:] <= 0).all()


def test_the_error_of_centred_ep_falls_a_hundred_times_with_a_tenth_of_beta():
    problem, cost = drn_problem(), eb.SquaredError()
    exactly = Hopfield(steps=3000, nudged_steps=3000, tol=1e-13, nudged_tol=1e-15)
    target = cost.encode(torch.arange(5) % 3, 3, problem.energy, torch.float64)
    true = eb.exact_gradient(problem, exactly.relax(problem).state, cost, target)
    assert true.curvature.min() > 0
    session = eb.Simulator().open(
        problem.network, problem.energy, exactly, device=torch.device("cpu"), dtype=torch.float64
    )
    errors = []
    for beta in (1e-3, 1e-4):
        rule = EquilibriumPropagation(variant="centered", beta=beta)
        found = rule.estimate(session, problem.x, target, cost).gradients
        errors.append(float(sum(((found[n] - g) ** 2).sum() for n, g in true.gradients.items()).sqrt()))
    assert 80 < errors[0] / errors[1] < 120


def test_conductances_stay_positive_in_training():
    x = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))
    data = eb.Data.from_arrays(x[:40], (x[:40, 0] > x[:40, 1]).long(), test=(x[40:], (x[40:, 0] > x[40:, 1]).long()))
    model, rule = DRN(hidden=(10,), input_gain=5.0), EquilibriumPropagation(variant="centered", beta=0.02)
    net = eb.train(model, energy=Resistive(), relaxer=Hopfield(), rule=rule, data=data, epochs=3, lr=0.05).net
    assert all((p >= 0).all() for n, p in net.network.named_parameters() if n.startswith("edges"))


def test_edges_without_a_self_term_are_refused():
    edge = eb.Dense("input", "output", (3,), (2,))
    assert "drn" in misfit(
        eb.Setup(energy=Resistive(), network=eb.Network([("input", (3,)), ("output", (2,))], [edge]))
    )
    with pytest.raises(ValueError, match="hidden"):
        DRN(hidden=(0,))
