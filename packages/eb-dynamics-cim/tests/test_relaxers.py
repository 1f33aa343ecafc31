"""The relaxers of this package: conformance, and identities that each must fulfil, in float64."""

import math

import pytest
import torch

from eb_core import IterativeRelaxer, Layer, Problem, Setup, SquaredError, State, UsageError, View
from eb_core.diagnostics.problems import nudged
from eb_core.learning.fit import misfit, notices
from eb_core.testing import all_phases, check_relaxer, check_settles, free_problem, random_state
from eb_dynamics_cim.adam import Adam
from eb_dynamics_cim.amplitude import AmplitudeDynamics
from eb_dynamics_cim.block import CimBlock
from eb_dynamics_cim.energy import CimEnergy
from eb_dynamics_hopfield.energy import HopfieldEnergy
from eb_dynamics_hopfield.flow import GradientFlow

ENERGY = CimEnergy(pump=0.1)
PAIRS = [
    (AmplitudeDynamics(tol=1e-2), ENERGY),
    (AmplitudeDynamics(tol=1e-2, ramp=0.5), CimEnergy(pump=0.6)),
    (CimBlock(), ENERGY),
    (CimBlock(order="forward"), CimEnergy(pump=1.3)),
    (Adam(tol=1e-2), ENERGY),
    (Adam(tol=1e-2), HopfieldEnergy()),
]


def phases(energy: CimEnergy, shape: str = "three hidden layers") -> list[Problem]:
    free = free_problem(energy, shape)
    return [free, nudged(free, SquaredError(), 0.3), nudged(free, SquaredError(), -0.3)]


def same(a: State, b: State, tolerance: float = 1e-13) -> None:
    for name in a.units:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=tolerance)


@pytest.mark.parametrize(("relaxer", "energy"), PAIRS, ids=repr)
def test_relaxers_keep_their_promises(relaxer: IterativeRelaxer, energy: CimEnergy) -> None:
    assert check_relaxer(relaxer, energy) == 72


def test_the_relaxers_agree_on_the_minimum_of_a_convex_net() -> None:
    budget = {"steps": 250, "nudged_steps": 250, "tol": 1e-6, "nudged_tol": 1e-6, "check_every": 10}
    adam = Adam(steps=120, nudged_steps=120, tol=1e-6, nudged_tol=1e-6, check_every=20)
    relaxers = [CimBlock(**budget), AmplitudeDynamics(dt=0.3, ramp=0.2, **budget), adam]  # type: ignore[arg-type]
    assert check_settles(relaxers, CimEnergy(), tolerance=2e-5) == 63


@torch.no_grad()
@pytest.mark.parametrize("dt", [0.05, 0.2, 0.5])
def test_without_noise_and_ramp_amplitude_dynamics_is_projected_gradient_flow(dt: float) -> None:
    for problem in phases(ENERGY):
        start = random_state(problem)
        same(AmplitudeDynamics(dt=dt).iterate(problem, start, 7), GradientFlow(dt=dt).iterate(problem, start, 7))


@torch.no_grad()
def test_the_amplitude_equation_is_the_written_one() -> None:
    beta, dt, pump = 0.3, 0.2, 0.4
    free = free_problem(CimEnergy(pump=pump), "one hidden layer")
    problem = nudged(free, SquaredError(), beta)
    network, start = problem.network, random_state(problem)
    h, o = start["hidden1"], start["output"]
    assert problem.nudge is not None
    y = problem.nudge.target
    into, out = (network.edges[name].weight for name in ("input-hidden1", "hidden1-output"))
    for _ in range(5):
        field_h = problem.x @ into.T + network.biases["hidden1"] + o @ out
        field_o = h @ out.T + network.biases["output"]
        dh = ((pump - 1 - h**2) * h + field_h) * dt
        do = ((pump - 1 - o**2) * o + field_o - beta * (o - y)) * dt
        h, o = (h + dh).clamp(0, 1), (o + do).clamp(0, 1)
    same(AmplitudeDynamics(dt=dt).iterate(problem, start, 5), State({"hidden1": h, "output": o}))


@torch.no_grad()
def test_the_ramp_raises_the_pump_linearly_then_holds_it_in_the_free_phase_alone() -> None:
    pump, steps = 0.8, 12
    relaxer = AmplitudeDynamics(ramp=0.5, steps=steps, tol=0.0)
    free = free_problem(CimEnergy(pump=pump), "skip edges")
    state = start = random_state(free)
    for taken in range(steps):
        rising = CimEnergy(pump=pump * min(taken / 6, 1.0))
        problem = Problem.free(free.network, rising, free.x)
        state = GradientFlow(dt=relaxer.dt).iterate(problem, state, 1)
    same(relaxer.relax(free, start).state, state)
    assert not relaxer.relax(free, start).state.memory
    held = AmplitudeDynamics(steps=steps, tol=0.0)
    assert float((held.relax(free, start).state["output"] - state["output"]).abs().max()) > 1e-3
    nudge = nudged(free, SquaredError(), 0.1)
    same(relaxer.relax(nudge, start).state, held.relax(nudge, start).state)


@torch.no_grad()
def test_a_ramp_reaches_the_final_pump_before_the_free_phase_ends() -> None:
    for steps in (1, 2, 3, 20):
        relaxer = AmplitudeDynamics(ramp=0.999, steps=steps)
        problem = free_problem(CimEnergy(pump=0.5), "one hidden layer")
        view = View(problem, problem.initial_state())
        relaxer.init(view, resumed=False)
        missing = [relaxer._missing_pump(view) for _ in range(steps)]
        assert missing[-1] is None or float(missing[-1].max()) == 0
        assert missing[0] is None or float(missing[0].min()) == 0.5


@torch.no_grad()
def test_noise_grows_with_the_root_of_dt_and_is_cut_after_it_was_added() -> None:
    energy = CimEnergy()
    network = free_problem(energy, "one hidden layer").network
    problem = Problem.free(network, energy, torch.full((20000, 5), 0.5, dtype=torch.float64))
    middle = State({layer.name: torch.full((20000, *layer.shape), 0.5).double() for layer in network.unit_layers})
    spreads = []
    for dt in (0.05, 0.2):
        noisy, quiet = AmplitudeDynamics(dt=dt, noise=0.1), AmplitudeDynamics(dt=dt)
        moved = noisy.iterate(problem, middle, 1, generator=torch.Generator().manual_seed(0))
        kicks = torch.cat([moved[name] - quiet.iterate(problem, middle, 1)[name] for name in middle.units], 1)
        assert abs(float(kicks.mean())) < 4 * 0.1 * math.sqrt(dt / kicks.numel())
        spreads.append(float(kicks.std()))
        assert spreads[-1] == pytest.approx(0.1 * math.sqrt(dt), rel=0.02)
        correlation = torch.corrcoef(kicks.T)
        assert float((correlation - torch.eye(len(correlation))).abs().max()) < 0.05
    wild = AmplitudeDynamics(noise=5.0).iterate(problem, middle, 2, generator=torch.Generator().manual_seed(0))
    assert float(wild["hidden1"].min()) == 0
    assert float(wild["hidden1"].max()) == 1


def test_noise_needs_a_generator() -> None:
    problem = free_problem(ENERGY, "one hidden layer")
    with pytest.raises(UsageError, match="generator"):
        AmplitudeDynamics(noise=0.1).relax(problem)


@pytest.mark.parametrize("pump", [0.0, 0.5, 1.0, 1.6])
@pytest.mark.parametrize("order", ["colour", "forward"])
def test_the_energy_never_rises_along_block_updates(pump: float, order: str) -> None:
    for _, problem in all_phases(CimEnergy(pump=pump)):
        trace = (
            CimBlock(order=order, steps=8, nudged_steps=8, tol=0.0)
            .relax(problem, random_state(problem), trace=True)
            .trace
        )  # type: ignore[arg-type]
        assert trace is not None
        assert float(trace.energy.diff(dim=0).max()) <= 1e-13


@torch.no_grad()
def test_the_energy_never_rises_along_a_stable_amplitude_dynamics() -> None:
    assert AmplitudeDynamics().properties().descends
    assert not AmplitudeDynamics(noise=0.1).properties().descends
    assert not AmplitudeDynamics(ramp=0.1).properties().descends
    for _, problem in all_phases(ENERGY):
        trace = AmplitudeDynamics(dt=0.3).relax(problem, random_state(problem), trace=True).trace
        assert trace is not None
        assert float(trace.energy.diff(dim=0).max()) <= 1e-13


@pytest.mark.parametrize("energy", [ENERGY, HopfieldEnergy()], ids=repr)
def test_adam_is_torchs_adam_on_f_with_walls_and_a_cosine_schedule(energy: CimEnergy) -> None:
    relaxer = Adam(steps=11, nudged_steps=9, tol=0.0, lr=0.25, nudged_lr=0.25, beta1=0.6, beta2=0.8, eps=0.03)
    for problem in phases(energy):
        budget = 11 if problem.phase == "free" else 9
        start = random_state(problem)
        units = {name: value.clone().requires_grad_() for name, value in start.units.items()}
        adam = torch.optim.Adam(list(units.values()), lr=1.0, betas=(0.6, 0.8), eps=0.03)
        for taken in range(budget):
            adam.param_groups[0]["lr"] = 0.25 / 2 * (1 + math.cos(math.pi * taken / budget))
            adam.zero_grad()
            problem.objective(State(units)).sum().backward()
            adam.step()
            with torch.no_grad():
                for layer in problem.free_layers:
                    units[layer.name].copy_(energy.domain(layer).project(units[layer.name]))
        same(relaxer.relax(problem, start).state, State(units).detach())


@torch.no_grad()
def test_adam_starts_each_phase_afresh() -> None:
    problem = phases(ENERGY)[0]
    start = random_state(problem)
    junk = torch.ones(problem.batch, dtype=torch.float64)
    full = State(start.units, {"taken": 5 * junk, "first.output": junk, "momentum": junk})
    for found in (Adam().relax(problem, full).state, Adam().iterate(problem, full, 20)):
        same(found, Adam(tol=0.0).iterate(problem, start, 20))
        assert not found.memory


@torch.no_grad()
def test_adam_finds_the_minimum_of_hopfield_units_with_a_linear_output_too() -> None:
    for problem in phases(HopfieldEnergy()):  # type: ignore[arg-type]
        found = Adam(steps=200, nudged_steps=200, tol=0.0).relax(problem)
        flow = GradientFlow(steps=300, nudged_steps=300, tol=0.0).relax(problem)
        same(found.state, flow.state, 1e-6)


@torch.no_grad()
def test_adams_schedule_does_not_depend_on_who_has_stopped() -> None:
    problem = free_problem(ENERGY, "three hidden layers", seed=4)
    start = random_state(problem, seed=1)
    stopped = Adam(tol=2e-3, steps=30).relax(problem, start)
    assert len(stopped.steps.unique()) > 1, "samples stop at different times, or the test shows nothing"
    everyone = Adam(tol=0.0, steps=30)
    for row, steps in enumerate(stopped.steps.tolist()):
        alone = everyone.iterate(problem, start, steps)
        for name in start.units:
            torch.testing.assert_close(stopped.state[name][row], alone[name][row], rtol=0, atol=1e-13)


@torch.no_grad()
def test_adam_rests_when_its_schedule_is_over() -> None:
    problem = phases(ENERGY)[1]
    start = random_state(problem)
    relaxer = Adam(nudged_steps=6)
    same(relaxer.iterate(problem, start, 9), relaxer.iterate(problem, start, 6), 0.0)


@torch.no_grad()
def test_adams_first_nudged_step_is_in_proportion_to_a_small_nudge() -> None:
    free = free_problem(ENERGY, "three hidden layers")
    rest = CimBlock(steps=500, tol=1e-15).relax(free).state
    first, tenth = (
        Adam().iterate(nudged(free, SquaredError(), beta), rest, 1)["output"] - rest["output"] for beta in (1e-4, 1e-5)
    )
    assert float((first - 10 * tenth).abs().max()) < 0.02 * float(first.abs().max())


class _Phases(CimEnergy):
    def domain(self, layer: Layer) -> object:  # type: ignore[override]
        from eb_core import Circle

        return Circle()


def test_pairs_that_make_no_sense_are_refused_with_the_reason() -> None:
    assert "gradient-flow" in str(misfit(Setup(relaxer=AmplitudeDynamics(), energy=HopfieldEnergy())))
    assert "hopfield" in str(misfit(Setup(relaxer=CimBlock(), energy=HopfieldEnergy())))
    assert "phases" in str(misfit(Setup(relaxer=Adam(), energy=_Phases())))
    for output in ("linear", "boxed"):
        assert misfit(Setup(relaxer=Adam(), energy=HopfieldEnergy(output=output))) is None  # type: ignore[arg-type]
    for relaxer in (AmplitudeDynamics(), CimBlock(), Adam()):
        assert misfit(Setup(relaxer=relaxer, energy=CimEnergy(pump=1.2))) is None


def test_a_step_beyond_the_stable_one_is_noticed_and_indeed_does_not_settle() -> None:
    problem = free_problem(CimEnergy(), "one hidden layer")
    with torch.no_grad():
        for bias in problem.network.biases.values():
            bias.fill_(1.5)
    problem = Problem.free(problem.network, CimEnergy(), 0 * problem.x)
    limit = 2 / (4 + 0.8)
    for factor, quiet in ((0.95, True), (1.3, False)):
        relaxer = AmplitudeDynamics(dt=limit * factor, steps=400, tol=0.0)
        found = notices(Setup(relaxer=relaxer, network=problem.network, energy=CimEnergy()))
        assert (not found) is quiet
        assert float(relaxer.relax(problem).residual.max() < 1e-8) == quiet or quiet is False
    assert (
        "ramp has no effect"
        in notices(Setup(relaxer=AmplitudeDynamics(ramp=0.5), network=problem.network, energy=CimEnergy()))[0]
    )
