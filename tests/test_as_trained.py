"""Every rule and dynamics at the options it trains with: the estimate is the one that settling to the end gives."""

from functools import cache

import pytest
from registered import fitting_relaxers, make, names

from eb_core.diagnostics.as_trained import BETAS, WORST, measure_as_trained
from eb_core.diagnostics.measure import Finding
from eb_core.diagnostics.well_conditioned import Nets, nets
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.iterative import IterativeRelaxer
from eb_core.testing import ConformanceError, check_as_trained
from eb_dynamics_hopfield.block import Hopfield

ONE_SIDED = ("p-ep", "n-ep", "p-cpl", "n-cpl")


@cache
def three_wirings(energy: str) -> Nets:
    return nets(make("energy", energy))[:3]


def cosines(rule: str, relaxer: IterativeRelaxer, energy: str = "hopfield") -> list[Finding]:
    found = measure_as_trained(
        "", make("rule", rule), relaxer, make("energy", energy), SquaredError(), three_wirings(energy)
    )
    assert len({one.net for one in found}) == 3
    return found


@pytest.mark.parametrize("rule", ONE_SIDED)
def test_a_one_sided_rule_is_as_good_at_small_beta_as_at_large(rule: str) -> None:
    """On the code that contrasted with the free state itself, p-ep had .25 and -.79 at beta 1e-4."""
    found = cosines(rule, make("relaxer", "hopfield"))
    at_beta = {beta: [one.value for one in found if one.what == f"{WORST} at beta {beta:g}"] for beta in BETAS}
    assert all(len(values) == 3 for values in at_beta.values())
    assert min(min(values) for values in at_beta.values()) > 0.9999


@pytest.mark.parametrize("rule", [name for name in names("rule") if name not in ONE_SIDED])
def test_every_other_rule_estimates_what_it_says_at_the_options_it_trains_with(rule: str) -> None:
    assert all(one.holds is not False for one in cosines(rule, make("relaxer", "hopfield")))


@pytest.mark.parametrize("pair", fitting_relaxers(), ids=" on ".join)
def test_every_dynamics_settles_well_enough_for_a_one_sided_rule(pair: tuple[str, str]) -> None:
    relaxer, energy = pair
    assert all(one.holds is not False for one in cosines("p-ep", make("relaxer", relaxer), energy))


def test_a_dynamics_that_is_stopped_too_early_is_called_broken() -> None:
    with pytest.raises(ConformanceError, match="worst cosine"):
        check_as_trained(
            make("rule", "c-ep"), Hopfield(steps=1, nudged_steps=1), make("energy", "hopfield"), SquaredError()
        )
