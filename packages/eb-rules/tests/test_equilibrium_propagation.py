"""This package alone: the EP rules keep their promises, and refuse what has no minimum."""

from typing import Any

import pytest
import torch

from eb_core import Registry, Setup
from eb_core.diagnostics.problems import labels_of
from eb_core.learning.fit import misfit
from eb_core.learning.simulator import Simulator
from eb_core.physics.cross_entropy import CrossEntropy
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import check_rule, free_problem
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy
from eb_rules.equilibrium_propagation import EquilibriumPropagation

VARIANTS = ("positive", "negative", "centered")
ENERGY, COST = HopfieldEnergy(), SquaredError()
EXACT = Hopfield(steps=1000, nudged_steps=1000, tol=1e-12, nudged_tol=1e-14)


def gradients(variant: str, beta: float) -> dict[str, torch.Tensor]:
    problem = free_problem(ENERGY, "three hidden layers")
    session = Simulator().open(problem.network, ENERGY, EXACT, device=torch.device("cpu"), dtype=torch.float64)
    target = COST.encode(labels_of(problem), 3, ENERGY, torch.float64)
    rule = EquilibriumPropagation(variant=variant, beta=beta)  # type: ignore[arg-type]
    return dict(rule.estimate(session, problem.x, target, COST).gradients)


@pytest.mark.parametrize("cost", [SquaredError(), CrossEntropy()], ids=repr)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_keeps_the_promises_of_a_rule(variant: str, cost: SquaredError | CrossEntropy) -> None:
    assert check_rule(EquilibriumPropagation(variant=variant), Hopfield(), ENERGY, cost) == 8  # type: ignore[arg-type]


def test_the_centred_estimate_is_the_mean_of_the_one_sided_ones() -> None:
    centred, positive, negative = (gradients(variant, 0.1) for variant in ("centered", "positive", "negative"))
    for name, value in centred.items():
        torch.testing.assert_close(value, (positive[name] + negative[name]) / 2, rtol=0, atol=1e-9)


def test_the_estimate_is_the_gradient_of_the_difference_of_minima() -> None:
    """L = [min F_b - min F_-b] / 2b by finite differences of the minima, at a finite b."""
    beta, step = 0.2, 1e-5
    problem = free_problem(ENERGY, "three hidden layers")
    target = COST.encode(labels_of(problem), 3, ENERGY, torch.float64)
    weight = problem.network.edges["hidden1-hidden2"].weight

    def surrogate() -> float:
        minima = []
        for strength in (beta, -beta):
            nudged = problem.nudged(COST, target, strength)
            minima.append(float(nudged.objective(EXACT.relax(nudged).state).detach().mean()))
        return (minima[0] - minima[1]) / (2 * beta)

    with torch.no_grad():
        weight[1, 2] += step
        above = surrogate()
        weight[1, 2] -= 2 * step
        below = surrogate()
        weight[1, 2] += step
    expected = (above - below) / (2 * step)
    assert float(gradients("centered", beta)["edges.hidden1-hidden2.weight"][1, 2]) == pytest.approx(expected, rel=1e-5)


def refused(variant: Any, beta: float) -> bool:
    rule = EquilibriumPropagation(variant=variant, beta=beta)
    return misfit(Setup(rule=rule, energy=ENERGY, cost=COST)) is not None


def test_a_negative_nudge_without_a_minimum_is_refused_before_work() -> None:
    assert (
        misfit(Setup(rule=EquilibriumPropagation(variant="centered", beta=1.0), energy=ENERGY, cost=COST)) is not None
    )
    assert not refused("positive", 1.0)
    assert not refused("centered", 0.9)


def test_presets_stand_for_their_variants() -> None:
    registry = Registry.installed()
    for name, variant in (("p-ep", "positive"), ("n-ep", "negative"), ("c-ep", "centered")):
        component = registry.find("rule", name)
        assert registry.load("rule", component)(**component.preset).variant == variant
