"""Each rule against the function whose gradient it says it estimates."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eb_core import Problem, Rule, Session, State
from eb_core.diagnostics.problems import labels_of
from eb_core.learning.oracle import exact_gradient
from eb_core.learning.simulator import Simulator
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import check_rule, free_problem
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy
from eb_rules.backprop import Backprop, RecurrentBackprop, TruncatedBackprop, feed_forward
from eb_rules.coupled_learning import CoupledLearning
from eb_rules.equilibrium_propagation import EquilibriumPropagation

ENERGY, COST = HopfieldEnergy(), SquaredError()
EXACT = Hopfield(steps=3000, nudged_steps=3000, tol=1e-12, nudged_tol=1e-14, check_every=20)
CL = CoupledLearning(variant="positive", beta=1.0)
RULES = [CL, CoupledLearning(), TruncatedBackprop(), RecurrentBackprop(), Backprop()]


def setting(shape: str = "three hidden layers", seed: int = 3) -> tuple[Problem, torch.Tensor, Session]:
    problem = free_problem(ENERGY, shape, seed)
    session = Simulator().open(problem.network, ENERGY, EXACT, device=torch.device("cpu"), dtype=torch.float64)
    return problem, COST.encode(labels_of(problem), 3, ENERGY, torch.float64), session


def gradients(rule: Rule, shape: str = "three hidden layers") -> dict[str, torch.Tensor]:
    problem, target, session = setting(shape)
    return dict(rule.estimate(session, problem.x, target, COST).gradients)


def slope_of(function: Callable[[Problem, torch.Tensor], float], name: str, index: tuple[int, ...]) -> float:
    """Central difference of a function of the weights."""
    problem, target, _ = setting()
    weight, step, values = problem.network.get_parameter(name), 1e-5, []
    for sign in (1, -2):
        with torch.no_grad():
            weight[index] += sign * step
        values.append(function(Problem.free(problem.network, ENERGY, problem.x), target))
    return (values[0] - values[1]) / (2 * step)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_every_rule_keeps_the_promises_of_a_rule(rule: Rule) -> None:
    assert check_rule(rule, Hopfield(), ENERGY, COST) == 8


def test_contrastive_learning_is_the_gradient_of_its_contrastive_function() -> None:
    def contrastive(problem: Problem, target: torch.Tensor) -> float:
        clamped = problem.clamped({"output": target})
        ends = [float(one.total_energy(EXACT.relax(one).state).detach().mean()) for one in (clamped, problem)]
        return ends[0] - ends[1]

    found = gradients(CL)
    for name, index in (
        ("edges.hidden2-hidden3.weight", (1, 2)),
        ("edges.input-hidden1.weight", (0, 3)),
        ("biases.output", (1,)),
    ):
        assert float(found[name][index]) == pytest.approx(slope_of(contrastive, name, index), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("variant", ["positive", "negative", "centered"])
def test_coupled_learning_is_the_difference_of_energy_gradients_at_outputs_held_on_the_way_to_the_target(
    variant: str,
) -> None:
    problem, target, _ = setting()
    rule = CoupledLearning(variant=variant, beta=0.3)  # type: ignore[arg-type]
    free = EXACT.relax(problem).state
    low, high = rule.strengths()

    def pull(beta: float) -> torch.Tensor:
        held = problem.clamped({"output": (1 - beta) * free["output"] + beta * target}) if beta else problem
        state = EXACT.relax(held, free).state if beta else free
        return torch.autograd.grad(
            problem.total_energy(state).mean(), problem.network.get_parameter("edges.hidden1-hidden2.weight")
        )[0]

    expected = (pull(high) - pull(low)) / (high - low)
    torch.testing.assert_close(gradients(rule)["edges.hidden1-hidden2.weight"], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", ["one hidden layer", "three hidden layers", "skip edges"])
@pytest.mark.parametrize("rule", [TruncatedBackprop(steps=200), RecurrentBackprop(steps=400)], ids=repr)
def test_backprop_through_settling_becomes_the_exact_gradient_as_its_horizon_grows(rule: Rule, shape: str) -> None:
    problem, target, _ = setting(shape)
    exact = exact_gradient(problem, EXACT.relax(problem).state, COST, target).gradients
    for name, gradient in gradients(rule, shape).items():
        torch.testing.assert_close(gradient, exact[name], rtol=0, atol=1e-9)


def test_a_short_horizon_leaves_a_bias_that_shrinks_with_it() -> None:
    problem, target, _ = setting()
    exact = exact_gradient(problem, EXACT.relax(problem).state, COST, target).gradients
    for make in (TruncatedBackprop, RecurrentBackprop):
        errors = [
            max(float((gradients(make(steps=steps))[name] - exact[name]).abs().max()) for name in exact)
            for steps in (2, 8, 20)
        ]
        assert errors[0] > 5 * errors[1] > 25 * errors[2]


def test_plain_backprop_is_the_gradient_of_the_feed_forward_cost() -> None:
    def cost(problem: Problem, target: torch.Tensor) -> float:
        return float(COST.value(problem.readout(feed_forward(problem)), target).detach().mean())

    found = gradients(Backprop())
    for name, index in (("edges.hidden1-hidden2.weight", (1, 2)), ("biases.hidden1", (0,))):
        assert float(found[name][index]) == pytest.approx(slope_of(cost, name, index), rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("make", [EquilibriumPropagation, CoupledLearning])
def test_both_phases_as_one_doubled_batch_are_the_two_phases_one_after_the_other(make: type) -> None:
    together, apart = gradients(make(stacked=True)), gradients(make(stacked=False))
    for name, value in together.items():
        torch.testing.assert_close(value, apart[name], rtol=0, atol=1e-11)


def test_the_doubled_batch_really_runs_where_the_backend_can_and_only_there() -> None:
    problem, target, session = setting()
    batches: list[int] = []
    settle = session.settle

    def counting(problem: Problem, start: State | None = None, **rest: object) -> object:
        batches.append(problem.batch)
        return settle(problem, start)

    session.settle = counting  # type: ignore[method-assign,assignment]
    EquilibriumPropagation().estimate(session, problem.x, target, COST)
    session.supports_stacked_phases = False
    EquilibriumPropagation().estimate(session, problem.x, target, COST)
    assert batches == [6, 12, 6, 6, 6]


def test_large_batches_are_settled_one_phase_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, target, session = setting()
    free = session.settle(problem).state
    units = sum(value.numel() for value in free.units.values())
    for limit, batches in ((units, [12]), (units - 1, [6, 6])):
        monkeypatch.setattr("eb_core.settling.state.LARGE", limit)
        seen: list[int] = []
        settle = session.settle
        monkeypatch.setattr(
            session,
            "settle",
            lambda one, *rest, seen=seen, settle=settle, **more: seen.append(one.batch) or settle(one, *rest, **more),
        )
        EquilibriumPropagation().estimate(session, problem.x, target, COST)
        monkeypatch.undo()
        assert seen == [6, *batches]


def test_a_warm_start_begins_at_the_last_perturbed_state_of_the_batch_before() -> None:
    problem, target, session = setting()
    cold = EquilibriumPropagation().estimate(session, problem.x, target, COST)
    assert cold.carry is None
    rule = EquilibriumPropagation(warm_start=True)
    first = rule.estimate(session, problem.x, target, COST)
    assert first.carry is not None
    assert torch.equal(first.carry["hidden1"], first.phases["plus"].state["hidden1"])
    starts: list[State | None] = []
    settle = session.settle

    def watching(problem: Problem, start: State | None = None, **rest: object) -> object:
        starts.append(start)
        return settle(problem, start)

    session.settle = watching  # type: ignore[method-assign,assignment]
    rule.estimate(session, problem.x[:4], target[:4], COST, carry=first.carry)
    rule.estimate(session, problem.x, target, COST, carry=first.carry.select(torch.arange(3)))
    assert starts[0] is not None
    assert torch.equal(starts[0]["hidden1"], first.carry["hidden1"][:4])
    assert starts[2] is None, "a carry too small for the batch is not used"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), beta=st.floats(0.01, 0.9), steps=st.integers(1, 40))
def test_the_surrogates_of_ep_bound_the_cost(seed: int, beta: float, steps: int) -> None:
    """EBL Theorem 2, and its form for any monotone relaxer that starts from the free state: L_b <= C <= L_-b."""
    problem = free_problem(ENERGY, "three hidden layers", seed % 50)
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(problem.batch, 3, generator=generator, dtype=torch.float64) * 2 - 0.5
    free = EXACT.relax(problem).state
    cost = COST.value(problem.readout(free), target)
    lowered = {}
    for strength in (beta, -beta):
        nudged = problem.nudged(COST, target, strength)
        end = Hopfield(nudged_steps=steps, tol=0.0).relax(nudged, free).state
        lowered[strength] = (nudged.objective(end) - problem.total_energy(free)).detach() / strength
    assert bool((lowered[beta] <= cost + 1e-10).all())
    assert bool((cost <= lowered[-beta] + 1e-10).all())
