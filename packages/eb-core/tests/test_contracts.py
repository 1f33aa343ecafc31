"""The contracts hold for phases, soft amplitudes and springs, with memory and with noise, without touching the core."""

from collections.abc import Iterable

import pytest
import torch
from foreign_physics import Amplitudes, Centred, Descent, Momentum, Phases, SpinGlass, Springs

from eb_core import (
    Dense,
    Diagnostic,
    Energy,
    Problem,
    Setup,
    State,
    UsageError,
    View,
    exact_gradient,
    make_network,
    refuse,
)
from eb_core.diagnostics.as_trained import measure_as_trained
from eb_core.diagnostics.measure import measure_relaxer, measure_rule
from eb_core.diagnostics.problems import flip_gains, nudged
from eb_core.learning.fit import misfit
from eb_core.learning.simulator import Simulator
from eb_core.network.network import Model, Network
from eb_core.physics.cross_entropy import CrossEntropy
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import all_phases, check_cost, check_edge, check_energy, check_relaxer, free_problem, random_state

ENERGIES = [Phases(), Amplitudes(), Springs()]
EVERY = [*ENERGIES, SpinGlass()]


PHASES = {"Phases": 63, "SpinGlass": 42, "Springs": 72, "Amplitudes": 72}
"""Nine on each wiring; phases and spins refuse max-pooling, spins cross-entropy, too."""


@pytest.mark.parametrize("energy", EVERY, ids=repr)
def test_foreign_physics_keeps_the_promises_of_an_energy(energy: Energy) -> None:
    assert check_energy(energy) == PHASES[type(energy).__name__]


@pytest.mark.parametrize("energy", EVERY, ids=repr)
def test_block_descent_works_on_foreign_physics(energy: Energy) -> None:
    assert check_relaxer(Descent(steps=7, nudged_steps=7), energy) == PHASES[type(energy).__name__]


@pytest.mark.parametrize("energy", ENERGIES, ids=repr)
@pytest.mark.parametrize("cost", [SquaredError(), SquaredError(copies=3), CrossEntropy(temperature=0.5)], ids=repr)
def test_costs_keep_their_promises_on_every_readout(cost: SquaredError | CrossEntropy, energy: Energy) -> None:
    check_cost(cost, energy)


def test_a_dense_edge_keeps_its_promises_between_layers_of_any_shape() -> None:
    check_edge(Dense("a", "b", (2, 3), (4,)), (2, 3), (4,))
    check_edge(Dense("a", "b", (5,), (2, 2)), (5,), (2, 2))


def test_memory_comes_back_with_the_state_and_noise_does_not_depend_on_who_has_settled() -> None:
    relaxer = Momentum(steps=24, tol=0.05, check_every=1)
    problem = free_problem(Springs(), "three hidden layers")
    start = random_state(problem)
    dropping = relaxer.relax(problem, start, generator=torch.Generator().manual_seed(1))
    freezing = relaxer.relax(problem, start, generator=torch.Generator().manual_seed(1), trace=True)
    assert len(dropping.steps.unique()) > 1
    assert set(dropping.state.memory) == {f"velocity.{layer}" for layer in start.units}
    for layer in start.units:
        torch.testing.assert_close(dropping.state[layer], freezing.state[layer], rtol=0, atol=1e-13)
        kept = [end.state.memory[f"velocity.{layer}"] for end in (dropping, freezing)]
        torch.testing.assert_close(*kept, rtol=0, atol=1e-13)


def test_noise_without_a_generator_is_refused() -> None:
    with pytest.raises(UsageError, match="got no generator"):
        Momentum().relax(free_problem(Springs(), "one hidden layer"))


def test_a_nudge_that_leaves_no_minimum_is_refused() -> None:
    problem = free_problem(Springs(), "one hidden layer")
    with pytest.raises(UsageError, match="F has no minimum"):
        nudged(problem, SquaredError(), -1.0)
    assert nudged(problem, SquaredError(), -0.99).phase == "nudged"


def test_a_problem_refuses_input_of_another_shape_or_dtype() -> None:
    problem = free_problem(Springs(), "one hidden layer")
    with pytest.raises(UsageError, match="network of inputs"):
        Problem.free(problem.network, problem.energy, problem.x[:, 1:])
    with pytest.raises(UsageError, match=r"float32, network in torch\.float64"):
        Problem.free(problem.network, problem.energy, problem.x.float())
    with pytest.raises(UsageError, match="no layer 'nowhere'"):
        problem.clamped({"nowhere": problem.x})


def test_selecting_samples_of_a_problem_selects_everything_that_belongs_to_them() -> None:
    rows = torch.tensor([4, 1])
    for where, problem in all_phases(Amplitudes()):
        state = random_state(problem)
        part = problem.select(rows)
        expected = problem.objective(state)[rows]
        torch.testing.assert_close(part.objective(state.select(rows)), expected, rtol=0, atol=1e-13, msg=where)


def test_an_energy_can_refuse_a_wiring_before_anything_is_drawn() -> None:
    class Picky(Springs):
        def check(self, setup: Setup) -> Iterable[Diagnostic]:
            yield refuse("springs need a chain")

    class Chain(Model):
        def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
            return Network([("in", input_shape), ("out", (outputs,))], [Dense("in", "out", input_shape, (outputs,))])

    with pytest.raises(UsageError, match="springs need a chain"):
        make_network(Chain(), Picky(), (3,), 2, generator=torch.Generator())


@pytest.mark.parametrize(
    ("layers", "edges", "message"),
    [
        ([("a", (2,))], [], "an input and an output"),
        ([("a", (2,)), ("a", (2,))], [], "unique"),
        ([("a", (2,)), ("b", (2,))], [Dense("a", "c", (2,), (2,))], "no layer 'c'"),
        ([("a", (2,)), ("b", (2,))], [Dense("b", "a", (2,), (2,))], "never ends there"),
        ([("a", (2,)), ("b", (2,))], [Dense("a", "b", (2,), (2,)), Dense("a", "b", (2,), (2,))], "exists twice"),
        (
            [("a", (2,)), ("b", (2,))],
            [Dense("a", "b", (2,), (3,))],
            r"edge a-b does not fit layers of shape \(2,\) and \(2,\)",
        ),
        ([("a", (2,)), ("b", (2,))], [Dense("a", "b", (3,), (2,))], r"edge a-b does not fit layers of shape \(2,\)"),
    ],
)
def test_impossible_wirings_are_refused(layers: list, edges: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network(layers, edges)


def test_colours_never_join_neighbours_and_split_a_chain_into_odd_and_even() -> None:
    chain = free_problem(Springs(), "three hidden layers").network
    names = [layer.name for layer in chain.unit_layers]
    assert chain.colours(names) == (("hidden1", "hidden3"), ("hidden2", "output"))
    assert chain.colours(["hidden2", "hidden3"]) == (("hidden2",), ("hidden3",))
    skipping = free_problem(Springs(), "skip edges").network
    for group in skipping.colours([layer.name for layer in skipping.unit_layers]):
        assert not any(edge.pre in group and edge.post in group for edge in skipping.edges.values())


def test_a_dynamics_that_cannot_run_on_a_wiring_is_refused_before_work_starts_and_left_out_of_checks() -> None:
    class Chains(Descent):
        def check(self, setup: Setup) -> Iterable[Diagnostic]:
            if setup.network is not None and len(setup.network.edges) != 2:
                yield refuse("it knows chains of two edges only")

    relaxer = Chains(steps=3, nudged_steps=3)
    assert check_relaxer(relaxer, Springs()) == 9
    deep, shallow = (free_problem(Springs(), shape) for shape in ("three hidden layers", "one hidden layer"))
    where = {"device": torch.device("cpu"), "dtype": torch.float64}
    with pytest.raises(UsageError, match="does not fit this model: it knows chains of two edges only"):
        Simulator().open(deep.network, Springs(), relaxer, **where)  # type: ignore[arg-type]
    Simulator().open(shallow.network, Springs(), relaxer, **where)  # type: ignore[arg-type]


def test_spins_refuse_what_needs_a_force_and_an_exact_gradient() -> None:
    problem = free_problem(SpinGlass(), "one hidden layer")
    state = random_state(problem)
    assert misfit(Setup(relaxer=Descent(), energy=SpinGlass())) is None
    assert "units of SpinGlass have none" in str(misfit(Setup(relaxer=Momentum(), energy=SpinGlass())))
    assert misfit(Setup(relaxer=Momentum(), energy=Springs())) is None
    with pytest.raises(UsageError, match="have no force"):
        View(problem, state).force("hidden1")
    with pytest.raises(UsageError, match="no exact gradient"):
        exact_gradient(problem, state, SquaredError(), problem.readout(state))


def test_spins_are_measured_by_turning_them() -> None:
    problem = free_problem(SpinGlass(), "lateral")
    end = Descent(steps=50, tol=0.5).relax(problem, random_state(problem, 3))
    assert end.converged is not None
    assert bool(end.converged.all())
    assert all(float(gain.max()) <= 0 for gain in flip_gains(problem, end.state).values())
    turned = State({**end.state.units, "hidden1": -end.state["hidden1"]})
    assert float(View(problem, turned).residual().max()) == 2
    found = measure_relaxer("descent", Descent(), SpinGlass()) + measure_as_trained(
        "centred", Centred(beta=2.0), Descent(), SpinGlass(), SquaredError()
    )
    assert {one.holds for one in found} == {True, None}
    (refusal,) = measure_rule("centred", Centred(), Descent(), SpinGlass(), SquaredError())
    assert "no exact gradient" in refusal.what
