"""What `eb check` measures, on physics that the core does not know: phases that are not convex, soft amplitudes."""

import pytest
import torch
from foreign_physics import Amplitudes, Centred, Chain, Descent, Momentum, Phases, Springs

from eb_core import Energy, IterativeRelaxer, Problem, Properties, View, configurable, option
from eb_core.diagnostics.measure import measure_relaxer, measure_rule, settle_amply
from eb_core.diagnostics.truncated import measure_truncated
from eb_core.diagnostics.well_conditioned import Nets, nets, room
from eb_core.learning.oracle import exact_gradient, mobility
from eb_core.physics.squared_error import SquaredError

ENERGIES: dict[Energy, Nets] = {energy: nets(energy) for energy in (Phases(), Amplitudes(), Springs())}
COST = SquaredError()


@configurable
class Euler(IterativeRelaxer):
    """Explicit Euler steps of gradient flow: slow."""

    dt: float = option(default=0.1, help="step", gt=0)

    def properties(self) -> Properties:
        return Properties(descends=True, symmetric_response=True)

    def step(self, view: View) -> None:
        new = {
            name: view.energy.domain(layer).project(view.units[name] + self.dt * view.force(name))
            for name, layer in view.layers.items()
        }
        for name, value in new.items():
            view.write(name, value)


@pytest.mark.parametrize("energy", ENERGIES, ids=repr)
def test_the_nets_are_well_conditioned_and_far_from_trivial(energy: Energy) -> None:
    for net, problem in ENERGIES[energy]:
        state = Descent(steps=2000, tol=1e-13).relax(problem).state
        exact = exact_gradient(problem, state, COST, problem.readout(state).detach())
        softest = {"convolutions": 0.01, "lateral and resistive": 0.05}.get(net, 0.1)  # of phases: that of neighbours
        assert float(exact.curvature.min()) > softest
        assert float(exact.kink.min()) > 0.02
        assert float(mobility(problem, state)[0].mean()) > 0.5


def test_samples_that_two_dynamics_settle_elsewhere_are_not_taken() -> None:
    class Forgetful(Phases):
        def minimize_unit(self, layer, field, s, curvature=None):  # type: ignore[no-untyped-def]
            return Phases.minimize_unit(self, layer, field, s, curvature) + 0.2

    problem = ENERGIES[Phases()][0][1]
    assert bool((room(problem) > 0).all())
    assert bool((room(Problem.free(problem.network, Forgetful(), problem.x)) < 0).all())


@pytest.mark.parametrize(
    ("relaxer", "energy"),
    [*((Descent(), energy) for energy in ENERGIES), (Euler(dt=0.4), Phases())],
    ids=["block on phases", "block on amplitudes", "block on springs", "Euler on phases"],
)
def test_all_promises_hold_on_foreign_physics(energy: Energy, relaxer: IterativeRelaxer) -> None:
    problems = ENERGIES[energy][1:2]
    found = measure_relaxer("r", relaxer, energy, problems)
    found += measure_truncated("r", relaxer, energy, COST, problems)[0]

    @configurable
    class Second(Centred):
        error_order = 2

    found += measure_rule("c", Second(), relaxer, energy, COST, problems)
    assert [one for one in found if one.holds is False] == []
    assert sum(one.holds is True for one in found) >= 6


def test_a_slow_dynamics_gets_the_budget_it_needs_and_a_stuck_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eb_core.diagnostics.measure.FIRST_BUDGET", 50)
    problem = ENERGIES[Springs()][0][1]
    slow, end = settle_amply(Euler(dt=0.1), problem)
    assert float(end.residual.max()) <= 1e-12
    assert slow.steps > 1000
    stuck, end = settle_amply(Momentum(), problem)  # its noise never ends
    assert float(end.residual.max()) > 1e-6
    assert stuck.steps <= 400


def test_nets_of_a_model_are_measured_too() -> None:
    ((name, problem),) = nets(Springs(), Chain())
    assert (name, problem.batch) == ("model", 6)
    assert problem.x.dtype == torch.float64
