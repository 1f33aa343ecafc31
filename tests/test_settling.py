"""Identities between dynamics, on random nets in float64."""

import pytest
import torch
from registered import make

from eb_core import Problem, State
from eb_core.diagnostics.problems import nudged
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import free_problem, random_state

ENERGY = make("energy", "hopfield")
CHAINS = ("one hidden layer", "three hidden layers")


def phases(shape: str) -> list[Problem]:
    free = free_problem(ENERGY, shape)
    return [free, nudged(free, SquaredError(), 0.3), nudged(free, SquaredError(), -0.3)]


@pytest.mark.parametrize("shape", CHAINS)
def test_k_asynchronous_iterations_equal_2k_synchronous_ones(shape: str) -> None:
    sync, block = make("relaxer", "hopfield-sync"), make("relaxer", "hopfield")
    for problem in phases(shape):
        start = random_state(problem)
        for count in (1, 2, 5):
            asynchronous = block.iterate(problem, start, count)
            late, early = sync.iterate(problem, start, 2 * count), sync.iterate(problem, start, 2 * count - 1)
            for index, layer in enumerate(problem.network.unit_layers, start=1):
                other = early if index % 2 else late
                torch.testing.assert_close(asynchronous[layer.name], other[layer.name], rtol=0, atol=1e-14)


def test_gradient_flow_with_a_unit_step_is_the_synchronous_update_in_the_free_phase() -> None:
    problem = free_problem(ENERGY, "three hidden layers")
    start = random_state(problem)
    flow = make("relaxer", "gradient-flow", dt=1.0).iterate(problem, start, 4)
    sync = make("relaxer", "hopfield-sync").iterate(problem, start, 4)
    for name in start.units:
        torch.testing.assert_close(flow[name], sync[name], rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", ["colour", "forward"])
@pytest.mark.parametrize("name", ["hopfield", "gradient-flow"])
def test_the_energy_never_rises_along_a_monotone_dynamics(name: str, order: str) -> None:
    options = {"order": order} if name == "hopfield" else {"dt": 0.5}
    for shape in (*CHAINS, "skip edges"):
        for problem in phases(shape):
            relaxer = make("relaxer", name, steps=12, nudged_steps=12, **options)
            trace = relaxer.relax(problem, random_state(problem), trace=True).trace
            assert trace is not None
            assert float(trace.energy.diff(dim=0).max()) <= 1e-13
            assert bool((trace.residual[-1] < trace.residual[0]).all())


@torch.no_grad()
def test_the_iterated_nudge_ends_where_the_closed_one_does_by_another_way() -> None:
    problem = phases("one hidden layer")[1]
    start = random_state(problem)
    closed, iterated = (make("relaxer", "hopfield", nudge=kind) for kind in ("closed", "iterated"))
    apart = (closed.iterate(problem, start, 2)["output"] - iterated.iterate(problem, start, 2)["output"]).abs().max()
    together = (closed.iterate(problem, start, 300)["output"] - iterated.iterate(problem, start, 300)["output"]).abs()
    assert float(apart) > 1e-6
    assert float(together.max()) < 1e-12


@pytest.mark.parametrize("name", ["hopfield", "hopfield-sync", "gradient-flow"])
def test_freezing_settled_samples_by_a_mask_equals_dropping_them_from_the_batch(name: str) -> None:
    relaxer = make("relaxer", name, tol=1e-3, steps=60)
    problem = free_problem(ENERGY, "three hidden layers", seed=4)
    start = random_state(problem, seed=1)
    dropped, frozen = relaxer.relax(problem, start), relaxer.relax(problem, start, trace=True)
    assert len(dropped.steps.unique()) > 1, "samples stop at different times, or the test shows nothing"
    assert torch.equal(dropped.steps, frozen.steps)
    for layer in start.units:
        torch.testing.assert_close(dropped.state[layer], frozen.state[layer], rtol=0, atol=1e-14)


def test_tolerance_budget_and_check_interval_each_change_what_happens() -> None:
    problem = free_problem(ENERGY, "three hidden layers")

    def steps(**options: float) -> torch.Tensor:
        return make("relaxer", "hopfield", **options).relax(problem).steps

    assert int(steps(tol=1e-2).max()) < int(steps(tol=1e-6).min())
    assert set(steps(steps=5, tol=0.0).tolist()) == {5}
    assert set(steps(steps=1, tol=1e-4).tolist()) == {1}
    assert set((steps(check_every=4, tol=1e-4) % 4).tolist()) == {0}


def test_a_nudged_phase_is_settled_to_a_fifth_of_beta_times_the_tolerance() -> None:
    problem = phases("three hidden layers")[1]
    relaxation = make("relaxer", "hopfield", tol=1e-3, nudged_steps=200).relax(problem)
    assert relaxation.converged is not None
    assert bool(relaxation.converged.all())
    assert float(relaxation.residual.max()) <= 0.2 * 0.3 * 1e-3
    loose = make("relaxer", "hopfield", tol=1e-3, nudged_tol=1e-2, nudged_steps=200).relax(problem)
    assert int(loose.steps.max()) < int(relaxation.steps.max())


def test_phases_of_one_batch_share_the_input_drive_until_the_weights_change() -> None:
    problem = free_problem(ENERGY, "one hidden layer")
    layer = problem.network.layers["hidden1"]
    with torch.no_grad():
        first = problem.constant_field(layer)
        assert nudged(problem, SquaredError(), 0.1).constant_field(layer) is first
        problem.network.edges["input-hidden1"].weight.mul_(2)
        assert problem.constant_field(layer) is not first
    assert problem.constant_field(layer).requires_grad, "recording autograd, the drive carries a graph of its own"


def test_a_state_carries_memory_through_selection_and_joining() -> None:
    state = State({"a": torch.arange(6.0).view(3, 2)}, {"momentum": torch.arange(3.0)})
    joined = State.cat([state.select(torch.tensor([2])), state.select(torch.tensor([0, 1]))])
    assert joined.memory["momentum"].tolist() == [2, 0, 1]
    assert joined["a"][:, 0].tolist() == [4, 0, 2]
