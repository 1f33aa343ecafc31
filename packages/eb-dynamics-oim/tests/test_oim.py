"""This package alone: energy and relaxers keep the promises of their contracts, and phases those of physics."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from eb_core import Dense, Edge, Layer, Network, Problem, Registry, Relaxer, Setup, State, View
from eb_core.diagnostics.problems import nudged
from eb_core.learning.fit import misfit, notices
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import check_energy, check_relaxer, free_problem, random_state, residual_by_definition
from eb_dynamics_oim.block import BlockPhases
from eb_dynamics_oim.curvature import curvature_at_rest
from eb_dynamics_oim.energy import OscillatorEnergy
from eb_dynamics_oim.euler import PhaseDynamics
from eb_dynamics_oim.heavy_ball import HeavyBall
from eb_dynamics_oim.newton import NewtonPhases
from eb_dynamics_oim.phases import quantised

ENERGY = OscillatorEnergy()
SHORT = {"steps": 6, "nudged_steps": 6, "check_every": 3}
RELAXERS = [
    PhaseDynamics(**SHORT),  # type: ignore[arg-type]
    HeavyBall(**SHORT),  # type: ignore[arg-type]
    BlockPhases(**SHORT),  # type: ignore[arg-type]
    NewtonPhases(steps=4, nudged_steps=4, check_every=2),
]
AMPLE = {"steps": 20000, "nudged_steps": 20000, "tol": 1e-9, "nudged_tol": 1e-9}
CHAINS = ("one hidden layer", "three hidden layers")
OUTPUT = Layer("output", (1,), "output")


def hessian(problem: Problem, state: State, row: int) -> Tensor:
    """d2F/dphi2 of one sample by autograd, free layers in order."""
    part, one = problem.select(torch.tensor([row])), state.select(torch.tensor([row]))
    names = [layer.name for layer in part.free_layers]
    sizes = [one[name].numel() for name in names]

    def objective(flat: Tensor) -> Tensor:
        pieces = flat.split(sizes)
        units = {name: piece.view_as(one[name]) for name, piece in zip(names, pieces, strict=True)}
        return part.objective(State({**one.units, **units})).sum()

    start = torch.cat([one[name].flatten() for name in names])
    return torch.autograd.functional.hessian(objective, start)


def phases(shape: str = "one hidden layer", energy: OscillatorEnergy = ENERGY) -> list[Problem]:
    free = free_problem(energy, shape)
    return [free, nudged(free, SquaredError(), 0.3), nudged(free, SquaredError(), -0.3)]


@pytest.mark.parametrize("sync", [0.0, 0.2, -0.2])
def test_the_force_is_minus_the_gradient_and_a_block_update_never_climbs(sync: float) -> None:
    assert check_energy(OscillatorEnergy(sync=sync)) == 63


@pytest.mark.parametrize("relaxer", RELAXERS, ids=repr)
def test_relaxers_keep_their_promises(relaxer: Relaxer) -> None:
    assert check_relaxer(relaxer, OscillatorEnergy(sync=0.1)) == (27 if isinstance(relaxer, NewtonPhases) else 63)


def test_the_energy_is_that_of_cosines_of_phase_differences() -> None:
    problem = free_problem(OscillatorEnergy(sync=0.3), "one hidden layer")
    state, network = random_state(problem), problem.network
    phi, out = state["hidden1"], state["output"]
    inner, first = network.edges["hidden1-output"].weight, network.edges["input-hidden1"].weight
    drive = problem.x @ first.t() + network.bias("hidden1")
    expected = (
        -(drive * phi.cos()).sum(1)
        - (network.bias("output") * out.cos()).sum(1)
        - (inner * (out.unsqueeze(2) - phi.unsqueeze(1)).cos()).sum((1, 2))
        - 0.15 * ((2 * phi).cos().sum(1) + (2 * out).cos().sum(1))
    )
    torch.testing.assert_close(problem.total_energy(state), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("beta", [0.4, -0.4])
@pytest.mark.parametrize("sync", [0.0, 0.5, -0.5])
def test_repeated_block_updates_of_a_unit_end_where_its_energy_is_smallest_near_by(sync: float, beta: float) -> None:
    energy = OscillatorEnergy(sync=sync, repeats=100)
    along, across, target = 0.7, -0.9, 1.0
    angles = torch.linspace(-math.pi, math.pi, 200001, dtype=torch.float64)
    values = -along * angles.cos() - across * angles.sin() - sync / 2 * (2 * angles).cos()
    values = values + beta / 2 * (angles.cos() - target).square()
    start = angles[values.argmin()].view(1, 1) + 0.4
    field = torch.tensor([along + beta * target, across], dtype=torch.float64).view(2, 1, 1)
    found = energy.minimize_unit(OUTPUT, field, start, torch.tensor([beta, 0.0], dtype=torch.float64).view(2, 1, 1))
    assert float(found) == pytest.approx(float(angles[values.argmin()]), abs=1e-4)


def test_a_clamped_output_reads_out_its_value_on_the_side_where_it_was() -> None:
    free = torch.tensor([[0.5, -0.5, 0.0, 4.0]], dtype=torch.float64)
    value = torch.tensor([[0.3, 0.3, -1.0, 0.9]], dtype=torch.float64)
    held = ENERGY.with_readout(value, free)
    torch.testing.assert_close(held.cos(), value)
    assert [float(sign) for sign in held.sin().sign()[0, [0, 1, 3]]] == [1, -1, -1]
    assert float(held[0, 2]) == pytest.approx(math.pi)
    with pytest.warns(UserWarning, match="beyond"):
        assert float(ENERGY.with_readout(torch.tensor([1.2]), torch.tensor([0.1]))) == 0


def test_edges_that_are_not_linear_are_refused_with_the_reason() -> None:
    class Bent(Dense):
        linear = False

    edges: list[Edge] = [Dense("in", "h", (3,), (4,)), Bent("h", "out", (4,), (2,))]
    reason = misfit(Setup(energy=ENERGY, network=Network([("in", (3,)), ("h", (4,)), ("out", (2,))], edges)))
    assert reason is not None
    assert "h-out" in reason
    assert "average" in reason
    edges[0], edges[1] = Bent("in", "h", (3,), (4,)), Dense("h", "out", (4,), (2,))
    assert misfit(Setup(energy=ENERGY, network=Network([("in", (3,)), ("h", (4,)), ("out", (2,))], edges))) is None


@pytest.mark.parametrize("shape", CHAINS)
@pytest.mark.parametrize("relaxer", [HeavyBall(**AMPLE), NewtonPhases(**AMPLE), BlockPhases(**AMPLE)], ids=repr)  # type: ignore[arg-type]
def test_every_way_ends_in_a_minimum_of_the_same_energy(relaxer: Relaxer, shape: str) -> None:
    for problem in phases(shape):
        found = relaxer.relax(problem)
        assert found.converged is not None
        assert bool(found.converged.all())
        assert float(residual_by_definition(problem, found.state).max()) <= 1.1e-9
        for row in range(problem.batch):
            assert float(torch.linalg.eigvalsh(hessian(problem, found.state, row))[0]) > 0


def test_a_tiny_machine_finds_the_global_minimum_that_a_search_over_a_grid_finds() -> None:
    network = Network(
        [("in", (2,)), ("h", (2,)), ("out", (1,))], [Dense("in", "h", (2,), (2,)), Dense("h", "out", (2,), (1,))]
    ).double()
    with torch.no_grad():
        network.edges["in-h"].weight.copy_(torch.tensor([[1.0, -0.5], [0.3, 0.9]]))
        network.edges["h-out"].weight.copy_(torch.tensor([[0.8, -0.6]]))
        network.biases["out"].fill_(0.3)
    problem = Problem.free(network, ENERGY, torch.tensor([[0.7, 0.4]], dtype=torch.float64))
    grid = torch.linspace(-math.pi, math.pi, 61, dtype=torch.float64)
    points = torch.tensor(list(itertools.product(grid.tolist(), repeat=3)), dtype=torch.float64)
    many = Problem.free(network, ENERGY, problem.x.expand(len(points), -1))
    with torch.no_grad():
        lowest = float(many.total_energy(State({"h": points[:, :2], "out": points[:, 2:]})).min())
    for relaxer in (PhaseDynamics(tol=1e-6), HeavyBall(tol=1e-6), BlockPhases(tol=1e-6), NewtonPhases(tol=1e-6)):
        found = relaxer.relax(problem)
        assert float(found.energy) == pytest.approx(lowest, abs=1e-2)
        assert float(found.energy) <= lowest + 1e-12


def test_two_euler_steps_of_half_the_length_come_closer_to_the_flow_in_proportion_to_the_step() -> None:
    problem = phases()[1]
    start = random_state(problem)

    def after(steps: int) -> Tensor:
        with torch.no_grad():
            return PhaseDynamics(eps=2.0 / steps).iterate(problem, start, steps)["hidden1"]

    errors = [float((after(n) - after(1024)).abs().max()) for n in (16, 32, 64)]
    assert 1.8 < errors[0] / errors[1] < 2.3
    assert 1.8 < errors[1] / errors[2] < 2.3


def test_a_heavy_ball_without_memory_is_the_phase_dynamics() -> None:
    problem = phases()[2]
    start = random_state(problem)
    with torch.no_grad():
        ball, flow = (one.iterate(problem, start, 20) for one in (HeavyBall(mu=0.0), PhaseDynamics()))
    for name in start.units:
        torch.testing.assert_close(ball[name], flow[name], rtol=0, atol=1e-13)


def test_a_ball_that_would_climb_starts_again_alone() -> None:
    problem = phases()[0]
    start = random_state(problem)
    work = View(problem, start)
    with torch.no_grad():
        for name in work.layers:
            force = work.force(name)
            against = torch.arange(problem.batch).unsqueeze(1) % 2 == 0
            work.remember(f"velocity.{name}", torch.where(against, -force, force) / 0.1)
        before = {name: work.force(name) for name in work.layers}
        HeavyBall(eps=0.1, mu=0.9).step(work)
    for name, force in before.items():
        moved = work.units[name] - start[name]
        torch.testing.assert_close(moved[::2], 0.1 * force[::2])
        torch.testing.assert_close(moved[1::2], force[1::2])


@pytest.mark.parametrize("scale", ["step", "rate"])
def test_phase_noise_has_the_width_of_its_convention(scale: str) -> None:
    network = Network([("in", (1,)), ("out", (20000,))], [Dense("in", "out", (1,), (20000,))]).double()
    problem = Problem.free(network, ENERGY, torch.zeros(2, 1, dtype=torch.float64))
    relaxer = PhaseDynamics(noise=0.3, noise_scale=scale, eps=0.04, steps=9, tol=0.0)  # type: ignore[arg-type]
    moved = relaxer.relax(problem, generator=torch.Generator().manual_seed(0)).state["out"] - math.pi / 2
    expected = 3 * 0.3 * (0.04 if scale == "step" else 0.2)
    assert float(moved.std()) == pytest.approx(expected, rel=0.02)
    assert abs(float(moved.mean())) < 0.02 * expected


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_read_out_with_n_bits_knows_2_to_the_n_levels_and_pi_is_one(bits: int) -> None:
    angles = torch.linspace(0, 2 * math.pi, 10001, dtype=torch.float64)[:-1]
    levels = quantised(angles, bits)
    assert len(torch.remainder(levels + 1e-9, 2 * math.pi).round(decimals=6).unique()) == 2**bits
    assert float((levels - angles).abs().max()) <= math.pi / 2**bits + 1e-12
    assert float(quantised(torch.tensor(math.pi, dtype=torch.float64), bits)) == pytest.approx(math.pi)


def test_nudged_phases_start_from_what_was_read_out() -> None:
    problem = phases()[0]
    exact, read = PhaseDynamics(steps=40).relax(problem), PhaseDynamics(steps=40, bits=3).relax(problem)
    for name, value in exact.state.units.items():
        assert torch.equal(quantised(value, 3), read.state[name])
        assert not torch.equal(value, read.state[name])
    torch.testing.assert_close(read.residual, residual_by_definition(problem, read.state))
    assert float(read.residual.max()) > float(exact.residual.max())


def test_a_step_beyond_the_curvature_at_rest_is_noticed_with_the_limit() -> None:
    problem = phases()[0]
    work = View(problem, problem.initial_state())
    largest = float(torch.linalg.eigvalsh(hessian(problem, work.state(), 0))[-1])
    assert curvature_at_rest(problem.network, ENERGY) == pytest.approx(largest, rel=1e-6)
    for relaxer in (PhaseDynamics, HeavyBall):
        limit = (2.0 if relaxer is PhaseDynamics else 3.8) / largest
        assert notices(Setup(relaxer=relaxer(eps=0.99 * limit), network=problem.network, energy=ENERGY)) == []
        (told,) = notices(Setup(relaxer=relaxer(eps=1.01 * limit), network=problem.network, energy=ENERGY))
        assert f"below {limit:.2g}" in told


def test_every_component_of_this_package_loads() -> None:
    registry = Registry.installed()
    for kind, count in (("energy", 1), ("relaxer", 4)):
        found = [offer for offer in registry.offers(kind) if offer.plugin.distribution == "eb-dynamics-oim"]
        assert len(found) == count
        for offer in found:
            registry.load(kind, offer.component)()
