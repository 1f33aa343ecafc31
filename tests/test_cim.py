"""CIM with the learning rules: EP is exact for it, below and above threshold, and deep nets learn."""

import pytest
import torch
from registered import make

import eb_core as eb
from eb_core import Problem, Relaxer, Simulator, SquaredError, exact_gradient
from eb_core.diagnostics.measure import measure_rule
from eb_core.diagnostics.problems import labels_of
from eb_core.testing import check_rule, free_problem

ENERGY, COST = make("energy", "cim", pump=0.1), SquaredError()
EXACT = {"steps": 1500, "nudged_steps": 1500, "tol": 1e-13, "nudged_tol": 1e-15, "check_every": 20}


@pytest.mark.parametrize("rule", ["c-ep", "p-ep", "n-ep", "cl", "c-cpl", "tbp", "rbp"])
def test_the_rules_keep_their_promises_on_pumped_amplitudes(rule: str) -> None:
    assert check_rule(make("rule", rule), make("relaxer", "cim-block"), ENERGY, COST) == 8


@pytest.mark.parametrize("relaxer", ["cim", "adam", "hopfield", "gradient-flow"])
def test_centred_ep_keeps_its_promises_with_the_other_dynamics(relaxer: str) -> None:
    assert check_rule(make("rule", "c-ep"), make("relaxer", relaxer), ENERGY, COST) == 8


@pytest.mark.parametrize("relaxer", ["cim", "cim-block"])
def test_centred_ep_has_order_two_with_every_dynamics(relaxer: str) -> None:
    findings = measure_rule("c-ep", make("rule", "c-ep"), make("relaxer", relaxer), ENERGY, COST)
    orders = [one for one in findings if one.what == "order in beta"]
    assert len(orders) == 8
    assert not [one for one in findings if one.holds is False]


def centred_errors(problem: Problem, relaxer: Relaxer, betas: tuple[float, ...]) -> list[float]:
    """Relative error of centred EP against the exact gradient, for each beta; empty if a kink is near."""
    target = COST.encode(labels_of(problem), 3, problem.energy, torch.float64)
    exact = exact_gradient(problem, relaxer.relax(problem).state, COST, target)
    assert float(exact.residual.max()) < 1e-12
    assert float(exact.curvature.min()) > 0
    if float(exact.kink.min()) < 0.015:
        return []
    session = Simulator().open(
        problem.network, problem.energy, relaxer, device=torch.device("cpu"), dtype=torch.float64
    )
    true = torch.cat([value.flatten() for value in exact.gradients.values()])
    found = []
    for beta in betas:
        estimate = make("rule", "c-ep", beta=beta).estimate(session, problem.x, target, COST).gradients
        got = torch.cat([estimate[name].flatten() for name in exact.gradients])
        found.append(float((got - true).norm() / true.norm()))
    return found


@pytest.mark.parametrize(
    ("relaxer", "pump"),
    [
        ("cim-block", 0.0),
        ("cim-block", 0.5),
        ("cim-block", 1.1),
        ("cim-block", 1.4),
        ("cim", 0.5),
        ("cim", 1.4),
        ("adam", 0.0),
    ],
)
def test_the_error_of_centred_ep_falls_a_hundredfold_below_and_above_threshold(relaxer: str, pump: float) -> None:
    energy, dynamics = make("energy", "cim", pump=pump), make("relaxer", relaxer, **EXACT)
    tried = (
        centred_errors(free_problem(energy, "one hidden layer", seed), dynamics, (1e-3, 1e-4)) for seed in range(9)
    )
    coarse, fine = next(errors for errors in tried if errors)
    assert coarse < 1e-3
    assert 70 < coarse / fine < 140


def test_three_hidden_layers_learn_the_digits() -> None:
    result = eb.train(
        {"name": "mlp", "hidden": [32, 32, 32], "gain": [1.0, 0.7, 0.7, 0.7]},
        energy="cim",
        relaxer={"name": "cim-block", "steps": 8, "nudged_steps": 6, "tol": 0.0},
        rule="c-ep",
        dataset="digits",
        epochs=12,
    )
    assert result.test is not None
    assert result.test.accuracy > 0.85
