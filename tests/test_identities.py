"""The promises of every registered component, checked in float64 on random nets by the conformance kit."""

import pytest
from registered import fitting_relaxers, make, names

from eb_core import Circle, Layer
from eb_core.testing import (
    check_cost,
    check_dataset,
    check_energy,
    check_model,
    check_relaxer,
    check_rule,
    check_settles,
)

PHASES = {"hopfield": 72, "hopfield-graded": 72, "cim": 72, "oim": 63}
"""Nine phases on each wiring: three dense ones, three with self-terms and lateral edges, two convolutional; phases
refuse max-pooling."""
DENSE_ONLY = {"oim-newton": 36}
BRIEF = {name: {"steps": 80, "nudged_steps": 40} for name in ("oim", "oim-heavy-ball", "oim-block", "gradient-flow")}
"""Budgets of those that would take thousands of iterations by default."""


@pytest.mark.parametrize("energy", names("energy"))
def test_every_energy_has_a_force_that_is_minus_its_derivative_and_units_that_never_climb(energy: str) -> None:
    assert check_energy(make("energy", energy)) == PHASES[energy]


@pytest.mark.parametrize(("relaxer", "energy"), fitting_relaxers())
def test_every_relaxer_relaxes_as_it_iterates_and_keeps_samples_apart(relaxer: str, energy: str) -> None:
    unfit = DENSE_ONLY.get(relaxer, 0)
    brief = BRIEF.get(relaxer, {})
    assert check_relaxer(make("relaxer", relaxer, **brief), make("energy", energy)) == PHASES[energy] - unfit


def not_periodic() -> list[str]:
    """Energies that can be convex at all: not those of angles."""
    hidden = Layer("hidden", (1,))
    return [name for name in names("energy") if not isinstance(make("energy", name).domain(hidden), Circle)]


@pytest.mark.parametrize("energy", not_periodic())
def test_all_relaxers_find_the_one_minimum_of_a_convex_energy(energy: str) -> None:
    budget = {"steps": 600, "nudged_steps": 600, "tol": 1e-8, "nudged_tol": 1e-8, "check_every": 10}
    relaxers = [make("relaxer", one, **budget) for one, other in fitting_relaxers() if other == energy]
    assert check_settles(relaxers, make("energy", energy)) == 63


@pytest.mark.parametrize("energy", names("energy"))
@pytest.mark.parametrize("cost", names("cost"))
def test_every_cost_keeps_its_promises(cost: str, energy: str) -> None:
    check_cost(make("cost", cost), make("energy", energy))


@pytest.mark.parametrize("cost", names("cost"))
@pytest.mark.parametrize("rule", names("rule"))
def test_every_rule_gives_a_gradient_for_every_parameter_and_touches_nothing_else(rule: str, cost: str) -> None:
    assert (
        check_rule(make("rule", rule), make("relaxer", "hopfield"), make("energy", "hopfield"), make("cost", cost)) == 8
    )


@pytest.mark.parametrize("model", names("model"))
def test_every_model_builds_networks_whose_edges_keep_their_promises(model: str) -> None:
    check_model(make("model", model), (1, 8, 8))


@pytest.mark.parametrize("dataset", ["digits"])
def test_every_embedded_data_set_is_well_formed(dataset: str) -> None:
    check_dataset(make("dataset", dataset))
