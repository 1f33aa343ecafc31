"""cSB against what it contains: gradient flow, block updates, heavy ball; its limits of stability; its buffers."""

import math
from typing import Any

import pytest
import torch

from eb_core import Dense, IterativeRelaxer, Network, Problem, State
from eb_core.diagnostics.problems import nudged
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.coupling import active_units, coupling_norms
from eb_core.testing import all_phases, free_problem, random_state
from eb_dynamics_csb import stability
from eb_dynamics_csb.pace import SIGMA
from eb_dynamics_csb.relaxer import CSB
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy
from eb_dynamics_hopfield.flow import GradientFlow
from eb_dynamics_hopfield.synchronous import HopfieldSync

ENERGY = HopfieldEnergy()
SHAPES = ("one hidden layer", "three hidden layers", "skip edges")


def phases(shape: str) -> list[Problem]:
    free = free_problem(ENERGY, shape)
    strengths = torch.linspace(-0.3, 0.3, free.batch, dtype=torch.float64)
    return [free, *(nudged(free, SquaredError(), beta) for beta in (0.3, -0.3, strengths))]


def distance(one: State, other: State) -> float:
    return max(float((one[name] - other[name]).detach().abs().max()) for name in one.units)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dt", [0.4, 1.0, 1.1])
def test_without_momentum_parallel_csb_is_gradient_flow_of_step_dt_squared(shape: str, dt: float) -> None:
    csb, flow = CSB(update="parallel", dt=dt, gamma=1 / dt, nudge="iterated"), GradientFlow(dt=dt * dt)
    for problem in phases(shape):
        start = random_state(problem)
        for count in (1, 6):
            assert distance(csb.iterate(problem, start, count), flow.iterate(problem, start, count)) < 1e-13


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("nudge", ["closed", "iterated"])
def test_a_unit_step_is_the_synchronous_update_and_layer_after_layer_the_asynchronous_one(
    shape: str, nudge: Any
) -> None:
    pairs: list[tuple[CSB, IterativeRelaxer]] = [
        (CSB(update="parallel", dt=1.0, gamma=1.0, nudge=nudge), HopfieldSync(nudge=nudge)),
        (CSB(dt=1.0, gamma=1.0, nudge=nudge), Hopfield(nudge=nudge)),
        (CSB(dt=1.0, gamma=1.0, nudge=nudge, order="forward"), Hopfield(nudge=nudge, order="forward")),
    ]
    for problem in phases(shape):
        start = random_state(problem)
        for csb, block in pairs:
            for count in (1, 6):
                assert distance(csb.iterate(problem, start, count), block.iterate(problem, start, count)) < 1e-13


def test_the_closed_nudge_ends_where_the_iterated_one_does_by_another_way() -> None:
    problem = phases("three hidden layers")[1]
    start = random_state(problem)
    closed, iterated = (CSB(dt=1.1, nudge=kind) for kind in ("closed", "iterated"))  # type: ignore[arg-type]
    assert distance(closed.iterate(problem, start, 2), iterated.iterate(problem, start, 2)) > 1e-6
    assert distance(closed.iterate(problem, start, 300), iterated.iterate(problem, start, 300)) < 1e-12


@torch.no_grad()
def test_between_the_walls_it_is_a_heavy_ball_with_step_dt_squared_and_momentum_one_less_gamma_dt() -> None:
    dt, gamma = 0.6, 0.5
    problem = phases("three hidden layers")[1]
    start = random_state(problem).map(lambda s: 0.45 + 0.1 * s)
    states = [
        start,
        *(CSB(update="parallel", dt=dt, gamma=gamma, nudge="iterated").iterate(problem, start, n) for n in (1, 2)),
    ]
    with torch.enable_grad():
        units = {name: value.clone().requires_grad_() for name, value in states[1].units.items()}
        slopes = torch.autograd.grad(problem.objective(State(units)).sum(), list(units.values()))
    for (name, now), slope in zip(states[1].units.items(), slopes, strict=True):
        ball = now - dt**2 * slope + (1 - gamma * dt) * (now - start[name])
        inside = (ball > 0) & (ball < 1) & (now > 0) & (now < 1)
        assert bool(inside.any())
        torch.testing.assert_close(states[2][name][inside], ball[inside], rtol=0, atol=1e-13)


def linear_net(sigma: float) -> Problem:
    """Two layers of linear-output size inside the box, coupled by exactly sigma, at rest in the middle of the box."""
    network = Network(
        [("x", (1,)), ("a", (4,)), ("o", (4,))], [Dense("x", "a", (1,), (4,)), Dense("a", "o", (4,), (4,))]
    )
    network = network.double()
    with torch.no_grad():
        network.edges["a-o"].weight.copy_(sigma * torch.eye(4, dtype=torch.float64))
        middle = torch.full((4,), 0.5, dtype=torch.float64)
        network.biases["a"].copy_(middle - sigma * middle)
        network.biases["o"].copy_(middle - sigma * middle)
    return Problem.free(network, ENERGY, torch.zeros(2, 1, dtype=torch.float64))


def off_the_middle(problem: Problem, size: float) -> State:
    """Near the minimum, with parts along layers that move together and layers that move against each other."""
    away = {"a": torch.tensor([1.0, 2, 3, 4]), "o": torch.tensor([1.0, -1, 2, -3])}
    return State({name: value + 0.5 + size * away[name] for name, value in problem.initial_state().units.items()})


CASES = [
    ("parallel", 0.9, 0.0, None),
    ("parallel", 0.9, 0.4, None),
    ("sequential", 0.9, 0.1, 1.85),
    ("sequential", 0.9, 0.25, 1.58),
    ("sequential", 0.9, 0.5, 1.08),
    ("sequential", 0.5, 0.3, None),
]


@torch.no_grad()
@pytest.mark.parametrize(("update", "sigma", "mu", "known"), CASES)
def test_it_converges_just_below_its_limit_of_stability_and_diverges_just_above(
    update: Any, sigma: float, mu: float, known: float | None
) -> None:
    low, high = 0.0, 2 * (1 + mu)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if stability.used(update, middle, mu, sigma) < 1 else (low, middle)
    if known is not None:
        assert low == pytest.approx(known, abs=0.012)
    assert stability.largest_sigma(update, low, mu) == pytest.approx(sigma, rel=1e-9)
    problem = linear_net(sigma)
    start = off_the_middle(problem, 1e-9)
    for factor, grows in ((0.98, False), (1.02, True)):
        dt = (factor * low) ** 0.5
        state = CSB(update=update, dt=dt, gamma=(1 - mu) / dt).iterate(problem, start, 500)
        away = max(float((value - 0.5).abs().max()) for value in state.units.values())
        assert (away > 4e-9) is grows, f"{away:.1e} at {factor}"


@torch.no_grad()
@pytest.mark.parametrize("update", ["parallel", "sequential"])
@pytest.mark.parametrize("sigma", [0.5, 0.8, 0.95])
def test_the_best_pace_converges_at_the_rate_that_theory_gives_and_no_other_does_better(
    update: Any, sigma: float
) -> None:
    problem = linear_net(sigma)
    start = off_the_middle(problem, 0.01)
    promised = stability.rate(update, sigma)
    late = round(-10 / math.log10(promised))
    early = late // 2

    def rate(dt: float, gamma: float) -> float:
        relaxer = CSB(update=update, dt=dt, gamma=gamma)
        before, after = (relaxer.iterate(problem, start, count)["o"] - 0.5 for count in (early, late))
        return float((after.norm() / before.norm()) ** (1 / (late - early)))

    dt, gamma = stability.best(update, sigma)
    found = rate(dt, gamma)
    double = (late / early) ** (1 / (late - early))  # the best pace has a double eigenvalue: n times rate^n
    assert 0.98 * promised < found < 1.1 * promised * double
    mu = 1 - gamma * dt
    for other in (0.85 * dt, 1.08 * dt):
        assert rate(other, (1 - mu) / other) > 1.05 * found


@torch.no_grad()
@pytest.mark.parametrize("shape", SHAPES)
def test_sigma_comes_near_the_coupling_norm_of_the_units_that_move(shape: str) -> None:
    problem = free_problem(ENERGY, shape)
    sigma = CSB(tol=0.0).relax(problem).state.memory[SIGMA]
    early = CSB(tol=0.0, steps=3).relax(problem).state
    moving = coupling_norms(problem.network, active_units(problem, early), iterations=30)
    assert bool((sigma <= moving * (1 + 1e-9)).all()), "one step of the power iteration is a lower bound"
    assert float((sigma / moving).median()) > 0.7


@pytest.mark.parametrize("order", ["colour", "forward"])
@pytest.mark.parametrize("options", [{}, {"dt": 1.35}], ids=["chosen", "fixed"])
def test_sequential_steps_never_raise_the_energy(order: Any, options: dict[str, Any]) -> None:
    relaxer = CSB(order=order, steps=12, nudged_steps=12, **options)
    assert relaxer.properties().descends
    assert not CSB(update="parallel").properties().descends
    assert not CSB(noise=0.1).properties().descends
    for _, problem in all_phases(ENERGY):
        trace = relaxer.relax(problem, random_state(problem), trace=True).trace
        assert trace is not None
        assert float(trace.energy.diff(dim=0).max()) <= 1e-13


WAYS: list[dict[str, Any]] = [
    {},
    {"update": "parallel"},
    {"update": "parallel", "nudge": "iterated"},
    {"nudge": "iterated", "order": "forward"},
    {"dt": 1.1, "gamma": 0.6},
    {"dt": 0.8, "gamma": 0.7, "update": "parallel", "nudge": "iterated"},
    {"dt": 0.5, "gamma": 1.0, "update": "parallel", "noise": 0.05},
    {"dt": 0.9, "noise": 0.05, "nudge": "iterated"},
    {"average": 3},
]


@torch.no_grad()
@pytest.mark.parametrize("options", WAYS, ids=str)
def test_relax_in_buffers_hands_out_the_states_and_the_memory_of_iterate(options: dict[str, Any]) -> None:
    relaxer = CSB(steps=9, nudged_steps=9, tol=0.0, **options)
    for shape in SHAPES:
        for problem in phases(shape):
            start = random_state(problem)
            ended = relaxer.relax(problem, start, generator=torch.Generator().manual_seed(3)).state
            expected = relaxer.iterate(problem, start, 9, generator=torch.Generator().manual_seed(3))
            assert distance(ended, expected) < 1e-13
            assert set(ended.memory) == set(expected.memory)
            for name, value in ended.memory.items():
                torch.testing.assert_close(value, expected.memory[name], rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("update", ["sequential", "parallel"])
def test_samples_that_settle_early_rest_whether_they_leave_the_batch_or_not(update: Any) -> None:
    problem = free_problem(ENERGY, "three hidden layers", seed=4)
    relaxer = CSB(update=update, tol=1e-3, steps=60, check_every=2)
    start = random_state(problem, seed=1)
    dropped, frozen = relaxer.relax(problem, start), relaxer.relax(problem, start, trace=True)
    assert len(dropped.steps.unique()) > 1, "samples stop at different times, or the test shows nothing"
    assert torch.equal(dropped.steps, frozen.steps)
    assert distance(dropped.state, frozen.state) < 1e-13
    for name, value in dropped.state.memory.items():
        torch.testing.assert_close(value, frozen.state.memory[name], rtol=0, atol=1e-12)
