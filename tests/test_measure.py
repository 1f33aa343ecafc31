"""`eb check` must be able to fail: each kind of mistake is named."""

from typing import Any

import pytest
import torch
from registered import fitting_relaxers, make, names
from torch import Tensor

from eb_core import Problem, Rule, State, View, configurable
from eb_core.diagnostics.measure import Finding, measure_relaxer, measure_rule
from eb_core.diagnostics.well_conditioned import nets
from eb_dynamics_hopfield.block import Hopfield
from eb_rules.equilibrium_propagation import EquilibriumPropagation

ENERGY, COST = make("energy", "hopfield"), make("cost", "squared-error")
NETS = nets(ENERGY)


def broken(findings: list[Finding]) -> set[str]:
    assert any(one.holds is not None for one in findings)
    return {one.what for one in findings if one.holds is False}


def rule_findings(rule: Rule, relaxer: Any = None) -> list[Finding]:
    return measure_rule("under test", rule, relaxer or make("relaxer", "hopfield"), ENERGY, COST, NETS)


def relaxer_findings(relaxer: Any) -> list[Finding]:
    return measure_relaxer("under test", relaxer, ENERGY, NETS)


@pytest.mark.parametrize("name", [relaxer for relaxer, energy in fitting_relaxers() if energy == "hopfield"])
def test_every_relaxer_of_the_default_energy_settles_where_it_says(name: str) -> None:
    assert broken(relaxer_findings(make("relaxer", name))) == set()


@pytest.mark.parametrize("name", names("rule"))
def test_every_registered_rule_holds_what_it_claims(name: str) -> None:
    assert broken(rule_findings(make("rule", name))) == set()


def test_rules_that_are_not_gradients_of_the_cost_show_their_bias() -> None:
    for name in ("cl", "c-cpl", "tbp"):
        errors = [one.value for one in rule_findings(make("rule", name)) if one.what == "relative error"]
        assert len(errors) == 8
        assert max(errors) > 1e-4
        assert name == "tbp" or min(errors) > 1e-2  # 15 iterations are enough on some nets, not to change the function


def test_asymmetric_feedback_is_found() -> None:
    @configurable
    class Asymmetric(Hopfield):
        def step(self, view: View) -> None:
            for layer in view.order():
                field = view.field(layer)
                feedback = field - view.field(layer, feedback=False)
                view.write(layer, view.minimized(layer, field - 0.1 * feedback))

    assert "residual by autograd" in broken(relaxer_findings(Asymmetric()))
    assert "residual of the free state" in broken(rule_findings(make("rule", "c-ep"), Asymmetric()))


def test_a_wrong_nudge_is_found() -> None:
    @configurable
    class Weak(EquilibriumPropagation):
        def perturbed(self, problem: Problem, free: State, cost: Any, target: Tensor, beta: float) -> Problem:
            return problem.nudged(cost, target - 0.1, beta)

    assert "cosine" in broken(rule_findings(Weak()))


def test_a_dynamics_that_does_not_converge_is_found() -> None:
    @configurable
    class Restless(Hopfield):
        def step(self, view: View) -> None:
            for layer in view.order():
                view.write(layer, (2.9 * view.minimized(layer) - 1.9 * view.units[layer]).clamp(0, 1))

    assert {"residual by autograd", "largest rise of F"} <= broken(relaxer_findings(Restless()))


def test_a_rule_with_a_wrong_factor_is_found_by_its_order() -> None:
    @configurable
    class Doubled(EquilibriumPropagation):
        def estimate(self, *args: Any, **kwargs: Any) -> Any:
            estimate = EquilibriumPropagation.estimate(self, *args, **kwargs)
            for gradient in estimate.gradients.values():
                gradient.mul_(1.01)
            return estimate

    assert "order in beta" in broken(rule_findings(Doubled()))


def test_a_one_sided_rule_that_claims_to_be_centred_is_found() -> None:
    @configurable
    class Boastful(EquilibriumPropagation):
        error_order = 2

    assert "order in beta" in broken(rule_findings(Boastful(variant="positive")))


def test_a_relaxer_that_reports_a_false_residual_is_found() -> None:
    @configurable
    class Liar(Hopfield):
        def relax(self, *args: Any, **kwargs: Any) -> Any:
            import attrs

            honest = Hopfield.relax(self, *args, **kwargs)
            return attrs.evolve(honest, residual=honest.residual + torch.ones_like(honest.residual))

    assert "residual it reports, error" in broken(relaxer_findings(Liar()))
