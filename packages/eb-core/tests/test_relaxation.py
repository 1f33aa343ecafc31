"""A relaxation measures energy and residual when asked, of its own state, and never with other weights."""

import gc
import weakref
from typing import Any, ClassVar

import pytest
import torch
from foreign_physics import Descent, Phases, Springs

from eb_core import Energy, IterativeRelaxer, Problem, Relaxation, State, UsageError, View, configurable
from eb_core.diagnostics.problems import nudged, residual_by_definition
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import free_problem


@configurable
class Planning(IterativeRelaxer):
    """Block descent that prepares something which holds the view; the views are noted."""

    seen: ClassVar[list[Any]] = []

    def step(self, view: View) -> None:
        if "mine" not in view.prepared:
            view.prepared["mine"] = [view]
            self.seen.append(weakref.ref(view))
        for layer in view.layers:
            view.write(layer, view.minimized(layer))


@pytest.mark.parametrize("energy", [Springs(), Phases()], ids=["springs", "phases"])
@pytest.mark.parametrize("tol", [0.0, 1e-3])
def test_energy_and_residual_are_those_of_its_state(energy: Energy, tol: float) -> None:
    problem = nudged(free_problem(energy, "skip edges"), SquaredError(), 0.3)
    found = Descent(steps=3, nudged_steps=3, tol=tol).relax(problem)
    with torch.no_grad():
        torch.testing.assert_close(found.energy, problem.total_energy(found.state), rtol=0, atol=1e-13)
    torch.testing.assert_close(found.residual, residual_by_definition(problem, found.state), rtol=0, atol=1e-13)


def test_what_was_handed_over_is_not_measured_again() -> None:
    problem = free_problem(Springs(), "one hidden layer")
    energy = torch.arange(6.0)
    relaxation = Relaxation(problem, problem.initial_state(), torch.zeros(6, dtype=torch.int64), energy=energy)
    assert relaxation.energy is energy
    assert float(relaxation.residual.min()) > 0


def test_it_refuses_to_measure_with_weights_that_have_changed_since() -> None:
    problem = free_problem(Springs(), "one hidden layer")
    early, late = (Descent(steps=2).relax(problem) for _ in range(2))
    before = early.energy
    with torch.no_grad():
        problem.network.edges["hidden1-output"].weight.mul_(2)
    assert early.energy is before
    with pytest.raises(UsageError, match="after the weights had changed"):
        _ = late.energy


def test_a_stacked_relaxation_splits_into_those_of_its_phases() -> None:
    free = free_problem(Phases(), "three hidden layers")
    phases: list[Problem] = [nudged(free, SquaredError(), beta) for beta in (-0.3, 0.3)]
    relaxer = Descent(steps=40, nudged_steps=40, tol=1e-2)
    start = free.initial_state()
    both = relaxer.relax(Problem.stack(phases), State.cat([start, start])).split(phases)
    for part, phase in zip(both, phases, strict=True):
        alone = relaxer.relax(phase, start)
        assert torch.equal(part.steps, alone.steps)
        assert alone.converged is not None
        assert part.converged is not None
        assert torch.equal(part.converged, alone.converged)
        for name in start.units:
            torch.testing.assert_close(part.state[name], alone.state[name], rtol=0, atol=1e-13)
        torch.testing.assert_close(part.energy, alone.energy, rtol=0, atol=1e-13)
        torch.testing.assert_close(part.residual, alone.residual, rtol=0, atol=1e-13)


@pytest.mark.parametrize("tol", [0.0, 1e-3])
def test_buffers_of_a_relaxation_go_with_it_even_if_the_plan_points_back(tol: float) -> None:
    seen = Planning.seen
    seen.clear()
    gc.collect()
    gc.disable()
    try:
        Planning(steps=40, nudged_steps=3, tol=tol).relax(free_problem(Springs(), "one hidden layer"))
        assert len(seen) >= 1
        assert all(one() is None for one in seen)
    finally:
        gc.enable()
