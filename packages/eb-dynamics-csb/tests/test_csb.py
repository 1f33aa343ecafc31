"""cSB by itself: promises of a relaxer, options that it refuses, momentum, walls, noise, averages."""

from typing import Any

import pytest
import torch
from torch import Tensor

from eb_core import Energy, Problem, Registry, Relaxer, Setup, State, UsageError
from eb_core.diagnostics.problems import nudged
from eb_core.learning.fit import misfit, notices
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import check_relaxer, check_settles, free_problem, random_network, random_state
from eb_dynamics_csb.pace import SIGMA
from eb_dynamics_csb.relaxer import CSB
from eb_dynamics_hopfield.energy import HopfieldEnergy

ENERGY = HopfieldEnergy()
BOXED = HopfieldEnergy(output="boxed")
SHAPE = "three hidden layers"
OPTIONS: list[dict[str, Any]] = [
    {},
    {"update": "parallel", "check_every": 1},
    {"dt": 1.0, "gamma": 0.5, "nudge": "iterated", "order": "forward"},
    {"average": 3, "steps": 8, "nudged_steps": 8},
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_keeps_the_promises_of_a_relaxer(options: dict[str, Any]) -> None:
    assert check_relaxer(CSB(**options), ENERGY) == 72


def test_every_pace_finds_the_minimum_of_a_convex_net() -> None:
    budget = {"steps": 600, "nudged_steps": 600, "tol": 1e-8, "nudged_tol": 1e-8, "check_every": 10}
    kinds: list[dict[str, Any]] = [
        {},
        {"update": "parallel"},
        {"dt": 1.0, "gamma": 0.6},
        {"dt": 0.6, "nudge": "iterated"},
    ]
    relaxers: list[Relaxer] = [CSB(**budget, **kind) for kind in kinds]
    for energy in (ENERGY, BOXED):
        assert check_settles(relaxers, energy) == 63


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 1.2, "gamma": 0.9}, "gamma dt = 1.08 is above 1"),
        ({"dt": 1.42}, "a Hopfield unit diverges without any neighbour"),
        ({"dt": 1.9, "gamma": 0.2, "update": "parallel"}, "a Hopfield unit diverges"),
        ({"gamma": 0.5}, "gamma is given and dt is not"),
        ({"average": 40}, "average = 40"),
        ({"dt": 0.0}, "must be > 0"),
    ],
)
def test_a_pace_that_no_unit_survives_is_refused_with_the_reason(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CSB(**options)


def test_gamma_dt_may_be_one_up_to_rounding() -> None:
    assert CSB(dt=0.3, gamma=1 / 0.3).properties().descends
    CSB(dt=0.7, gamma=(1 + 5e-10) / 0.7)


def test_a_nudge_under_which_the_output_alone_diverges_is_refused_only_where_it_is_iterated() -> None:
    problem = nudged(free_problem(ENERGY, SHAPE), SquaredError(), 0.5)
    edge = (2 / 1.5) ** 0.5
    with pytest.raises(UsageError, match="the nudged output diverges"):
        CSB(dt=edge + 1e-6, nudge="iterated").relax(problem)
    CSB(dt=edge - 1e-6, nudge="iterated").relax(problem)
    CSB(dt=edge + 1e-6, nudge="closed").relax(problem)
    strengths = torch.linspace(-0.3, 0.5, problem.batch, dtype=torch.float64)
    with pytest.raises(UsageError, match="chosen"):
        CSB(nudge="iterated").relax(nudged(problem, SquaredError(), 0.6))
    CSB(nudge="iterated", update="parallel").relax(nudged(problem, SquaredError(), 0.6))
    with pytest.raises(UsageError, match=r"beta = 0\.5"):
        CSB(dt=edge + 1e-6, nudge="iterated").iterate(
            nudged(problem, SquaredError(), strengths), problem.initial_state(), 1
        )


def test_a_net_that_is_coupled_too_strongly_for_a_fixed_pace_is_a_notice_and_none_where_it_is_chosen() -> None:
    weak, strong = (random_network(ENERGY, SHAPE, coupling=coupling) for coupling in (0.5, 1.6))
    fixed = CSB(update="parallel", dt=1.0, gamma=0.7)
    assert notices(Setup(relaxer=fixed, network=weak, energy=ENERGY)) == []
    (text,) = notices(Setup(relaxer=fixed, network=strong, energy=ENERGY))
    assert "1.60" in text
    assert "lower dt" in text
    assert notices(Setup(relaxer=CSB(dt=1.2), network=strong, energy=ENERGY)) == [], (
        "over-relaxation settles whatever the coupling"
    )
    assert notices(Setup(relaxer=CSB(update="parallel"), network=strong, energy=ENERGY)) == []
    kept = CSB(dt=1.3, gamma=0.4)
    assert "sequential" in notices(Setup(relaxer=kept, network=strong, energy=ENERGY))[0]


def test_oscillators_are_refused_with_the_reason() -> None:
    from eb_core import Circle, Domain, Layer

    class Phases(HopfieldEnergy):
        def domain(self, layer: Layer) -> Domain:
            return Circle()

    assert "an angle has no ends" in (misfit(Setup(relaxer=CSB(), energy=Phases())) or "")
    assert misfit(Setup(relaxer=CSB(), energy=ENERGY)) is None


@pytest.mark.parametrize("fast", [True, False], ids=["buffered", "recorded"])
def test_a_unit_that_meets_its_wall_stops_there(fast: bool) -> None:
    relaxer = CSB(update="parallel", dt=1.0, gamma=0.3, tol=0.0, steps=4)
    problem = free_problem(BOXED, SHAPE)
    with torch.no_grad():
        problem.network.biases["hidden2"].fill_(2.0)
        fresh = Problem.free(problem.network, BOXED, problem.x)
        state = relaxer.relax(fresh).state if fast else relaxer.iterate(fresh, fresh.initial_state(), 4)
    assert bool((state["hidden2"] == 1).all())
    assert bool((state.memory["momentum.hidden2"] == 0).all())
    assert bool((state.memory["momentum.hidden1"] != 0).any())


def test_the_momentum_of_the_free_state_goes_into_the_nudged_phase() -> None:
    relaxer = CSB(update="parallel", dt=0.6, gamma=0.4, steps=3, nudged_steps=2, tol=0.0)
    free = free_problem(ENERGY, SHAPE)
    problem = nudged(free, SquaredError(), 0.2)
    with torch.no_grad():
        start = relaxer.relax(free).state
        carried = relaxer.relax(problem, start).state
        together = relaxer.iterate(problem, start, 2)
        without = relaxer.relax(problem, State(start.units)).state
        y = start.memory["momentum.hidden2"]
        force = relaxer.iterate(problem, start, 1).memory["momentum.hidden2"] - (1 - 0.24) * y
        rest = relaxer.iterate(problem, State(start.units), 1).memory["momentum.hidden2"]
    torch.testing.assert_close(carried["output"], together["output"], rtol=0, atol=1e-14)
    assert float((carried["output"] - without["output"]).abs().max()) > 1e-3
    inside = (start["hidden2"] > 0.1) & (start["hidden2"] < 0.9)
    torch.testing.assert_close(force[inside], rest[inside], rtol=0, atol=1e-14)


def test_sigma_is_looked_at_once_in_the_free_phase_and_kept_for_the_nudged_ones() -> None:
    relaxer = CSB(steps=6, nudged_steps=2, tol=0.0)
    free = free_problem(ENERGY, SHAPE)
    state = relaxer.relax(free).state
    assert set(state.memory) == {SIGMA}
    assert 0 < float(state.memory[SIGMA].min()) <= float(state.memory[SIGMA].max()) <= 0.8 + 1e-12
    after = relaxer.relax(nudged(free, SquaredError(), 0.2), state).state
    assert torch.equal(after.memory[SIGMA], state.memory[SIGMA])
    again = relaxer.relax(free, after).state
    assert not torch.equal(again.memory[SIGMA], state.memory[SIGMA]), "a free phase looks anew"
    short = CSB(steps=2, nudged_steps=4, tol=0.0).relax(free).state
    assert short.memory[SIGMA].tolist() == [-1.0] * free.batch


@torch.no_grad()
def test_iterations_can_be_taken_in_two_parts_whatever_the_memory() -> None:
    problem = free_problem(ENERGY, SHAPE)
    for options in ({}, {"update": "parallel"}, {"dt": 1.0, "gamma": 0.4}):
        relaxer = CSB(**options)  # type: ignore[arg-type]
        whole = relaxer.iterate(problem, problem.initial_state(), 7)
        half = relaxer.iterate(problem, relaxer.iterate(problem, problem.initial_state(), 2), 5)
        assert set(whole.memory) == set(half.memory)
        for name, value in whole.units.items():
            torch.testing.assert_close(half[name], value, rtol=0, atol=0)


def spread(relaxer: CSB, seed: int = 0, size: int = 20_000) -> Tensor:
    """One update of a net without couplings and bias from rest: the displacement of its output."""
    network = random_network(ENERGY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    problem = Problem.free(network, ENERGY, torch.zeros(size, 5, dtype=torch.float64))
    return relaxer.relax(problem, generator=generator(seed)).state["output"]


@pytest.mark.parametrize("update", ["sequential", "parallel"])
def test_noise_is_normal_on_the_field_and_not_scaled_by_dt_alone(update: Any) -> None:
    once = spread(CSB(update=update, dt=0.5, gamma=1.0, noise=0.2, steps=1, tol=0.0))
    assert float(once.std()) == pytest.approx(0.5**2 * 0.2, rel=0.02)
    assert abs(float(once.mean())) < 0.002
    z = once.flatten() / once.std()
    assert float((z**4).mean()) == pytest.approx(3, abs=0.15), "normal, not uniform"


def test_noise_is_drawn_anew_at_every_update() -> None:
    mu, h, q, steps = 1 - 1.0 * 0.5, 0.25, 0.2, 60
    variance = q**2 * h**2 * _gain(mu, h)
    settled = spread(CSB(update="parallel", dt=0.5, gamma=1.0, noise=q, steps=steps, tol=0.0))
    assert float(settled.var()) == pytest.approx(variance, rel=0.03)


def _gain(mu: float, h: float) -> float:
    """Variance of x(n+1) = (1 + mu - h) x(n) - mu x(n-1) + e for e of variance 1 (a process of second order)."""
    a, b = 1 + mu - h, -mu
    return (1 - b) / ((1 + b) * ((1 - b) ** 2 - a**2))


def test_noise_needs_a_generator_and_the_same_one_gives_the_same_states() -> None:
    relaxer = CSB(noise=0.1, steps=3, tol=0.0)
    with pytest.raises(UsageError, match="got no generator"):
        relaxer.relax(free_problem(ENERGY, SHAPE))
    assert torch.equal(spread(relaxer, 1, 50), spread(relaxer, 1, 50))
    assert not torch.equal(spread(relaxer, 1, 50), spread(relaxer, 2, 50))


@torch.no_grad()
def test_an_average_is_the_mean_of_the_last_states_and_quietens_noise() -> None:
    problem = free_problem(ENERGY, SHAPE)
    relaxer = CSB(average=3, steps=7, tol=1e-4)
    single = CSB(steps=7)
    states = [single.iterate(problem, problem.initial_state(), count) for count in (5, 6, 7)]
    ended = relaxer.relax(problem, trace=True)
    for name, value in ended.state.units.items():
        expected = torch.stack([one[name] for one in states]).mean(0)
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-14)
    assert ended.converged is not None
    assert torch.equal(ended.converged, ended.residual <= 1e-4)
    assert ended.trace is not None
    assert len(ended.trace.energy) == 8
    noisy = {"dt": 0.5, "gamma": 1.0, "update": "parallel", "noise": 0.2, "steps": 40, "tol": 0.0}
    one, many = (spread(CSB(average=count, **noisy)) for count in (1, 20))  # type: ignore[arg-type]
    assert float(many.var()) < 0.5 * float(one.var())


def test_a_sample_that_still_moves_has_not_settled() -> None:
    relaxer = CSB(update="parallel", dt=0.5, gamma=0.2, steps=400, tol=1e-3, check_every=1)
    problem = free_problem(ENERGY, SHAPE)
    ended = relaxer.relax(problem)
    assert ended.converged is not None
    assert bool(ended.converged.all())
    momenta = [ended.state.memory[f"momentum.{layer.name}"].abs().amax() for layer in problem.network.unit_layers]
    assert float(torch.stack(momenta).max()) <= 1e-3
    residuals = relaxer.relax(problem, trace=True).trace
    assert residuals is not None
    first = int((residuals.residual[:, 0] <= 1e-3).nonzero()[0])
    assert first < int(ended.steps[0]), "the residual was small before, on the way through the minimum"


def test_energies_of_other_curvature_get_a_step_to_their_measure() -> None:
    class Stiff(HopfieldEnergy):
        def self_energy(self, layer: Any, s: Tensor) -> Tensor:
            return 2 * s.square() + s.pow(4)

        def self_derivative(self, layer: Any, s: Tensor) -> Tensor:
            return 4 * s + 4 * s.pow(3)

        def minimize_unit(self, layer: Any, field: Tensor, s: Tensor, curvature: Any = None) -> Tensor:
            raise NotImplementedError

    energy: Energy = Stiff(output="boxed")
    for update in ("sequential", "parallel"):
        ended = CSB(update=update, steps=400, tol=1e-9, check_every=20).relax(free_problem(energy, SHAPE))  # type: ignore[arg-type]
        assert ended.converged is not None
        assert bool(ended.converged.all())
    state = random_state(free_problem(energy, SHAPE))
    assert state.batch == 6


def test_every_component_of_this_package_loads_and_the_recipe_is_that_of_the_paper() -> None:
    from eb_core.registry import read_recipe, resolve_layers

    registry = Registry.installed()
    offered = [offer for offer in registry.offers("relaxer") if offer.plugin.distribution == "eb-dynamics-csb"]
    assert [offer.component.name for offer in offered] == ["csb"]
    assert registry.load("relaxer", offered[0].component)() == CSB()
    layer = read_recipe(registry, "csb-paper")
    resolved, faults = resolve_layers(registry, [layer], ("relaxer",))
    assert not faults
    relaxer = resolved["relaxer"]
    assert (relaxer.update, relaxer.steps, relaxer.nudged_steps, relaxer.nudge) == ("parallel", 20, 15, "iterated")
    assert layer.sections["trainer"]["batch_size"][0] == 128


def test_sigma_of_a_large_batch_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    free = free_problem(HopfieldEnergy(), "max-pooling")
    whole = CSB(steps=5, tol=0.0).relax(free).state
    monkeypatch.setattr("eb_core.settling.state.LARGE", 1)
    monkeypatch.setattr("eb_dynamics_csb.pace.PART", 4)
    parts = CSB(steps=5, tol=0.0).relax(free).state
    assert free.batch > 4
    torch.testing.assert_close(parts.memory[SIGMA], whole.memory[SIGMA], rtol=0, atol=1e-12)
    for name, value in whole.units.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-12)
