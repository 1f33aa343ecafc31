"""What was wrong where speed stood beside the contract: each of these was red once."""

from typing import Any

import pytest
import torch
from registered import make

import eb_core as eb
from eb_core import (
    Backend,
    Network,
    Problem,
    RunError,
    Session,
    Simulator,
    SquaredError,
    UsageError,
    View,
    configurable,
)
from eb_core.diagnostics.problems import nudged
from eb_core.learning.simulator import SimulatorSession
from eb_core.settling.buffered import BufferedView
from eb_core.testing import free_problem, random_state
from eb_dynamics_cim.block import CimBlock
from eb_dynamics_csb.relaxer import CSB
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_oim.euler import PhaseDynamics
from eb_dynamics_oim.heavy_ball import HeavyBall

FAST = [
    (Hopfield, "hopfield"),
    (CSB, "hopfield"),
    (CimBlock, "cim"),
    (PhaseDynamics, "oim"),
    (HeavyBall, "oim"),
]
"""Dynamics that have a faster way to several iterations on dense nets, and an energy that it serves."""


@pytest.mark.parametrize(("base", "energy"), FAST)
def test_a_subclass_that_says_anew_what_an_iteration_is_is_obeyed_by_relax(base: Any, energy: str) -> None:
    @configurable
    class Still(base):
        def step(self, view: View) -> None:
            """Nothing moves."""

    problem = free_problem(make("energy", energy), "one hidden layer")
    start = random_state(problem)
    end = Still(steps=5, tol=0.0).relax(problem, start).state
    for name, value in start.units.items():
        assert torch.equal(end[name], value)


@pytest.mark.parametrize(("base", "energy"), FAST)
def test_bfloat16_rounds_products_of_dense_nets_too(base: Any, energy: str) -> None:
    problem = free_problem(make("energy", energy), "one hidden layer")
    network, x = problem.network.float(), problem.x.float()
    relaxer = base(steps=6, tol=0.0)
    if not relaxer.properties().resumable:
        pytest.skip("its phases cannot be divided in two, so it is refused")
    ends = []
    for precision in ("full", "bfloat16"):
        backend = Simulator(precision=precision, polish=0) if precision == "bfloat16" else Simulator()  # type: ignore[arg-type]
        session = backend.open(network, problem.energy, relaxer, device=torch.device("cpu"), dtype=torch.float32)
        ends.append(session.settle(Problem.free(network, problem.energy, x)).state)
    apart = max(float((ends[0][name] - ends[1][name]).abs().max()) for name in ends[0].units)
    assert 1e-5 < apart < 0.1


@pytest.mark.parametrize(("base", "energy"), FAST)
@torch.no_grad()
def test_a_state_that_was_taken_from_a_view_stays_as_it_is(base: Any, energy: str) -> None:
    problem, relaxer = free_problem(make("energy", energy), "one hidden layer"), base()
    work = BufferedView(problem, random_state(problem), eager=3)
    relaxer.init(work, resumed=False)
    work.run(relaxer.step, 6)
    taken = work.state()
    kept = taken.map(torch.clone)
    work.run(relaxer.step, 6)
    for name, value in kept.units.items():
        assert torch.equal(taken[name], value)
        assert not torch.equal(work.state()[name], value)


def test_a_heavy_ball_starts_every_phase_at_rest_however_it_is_run() -> None:
    problem = nudged(free_problem(make("energy", "oim"), "one hidden layer"), SquaredError(), 0.3)
    ball = HeavyBall(steps=7, nudged_steps=7, tol=0.0)
    start = random_state(problem)
    speeds = {f"velocity.{name}": torch.ones_like(value) for name, value in start.units.items()}
    moving = eb.State(start.units, speeds)
    ends = [
        ball.relax(problem, moving).state,
        ball.relax(problem, start).state,
        ball.iterate(problem, moving, 7).detach(),
    ]
    for end in ends:
        assert not end.memory
        for name, value in ends[0].units.items():
            torch.testing.assert_close(end[name], value, rtol=0, atol=1e-12)


def test_phases_read_out_with_few_bits_are_those_of_iterate_and_pass_gradients_on() -> None:
    problem = free_problem(make("energy", "oim"), "one hidden layer")
    coarse, start = HeavyBall(steps=7, tol=0.0, bits=4), random_state(problem)
    x = problem.x.clone().requires_grad_()
    end = coarse.iterate(Problem.free(problem.network, problem.energy, x), start, 7)
    for name, value in coarse.relax(problem, start).state.units.items():
        torch.testing.assert_close(end[name].detach(), value, rtol=0, atol=1e-12)
    (slope,) = torch.autograd.grad(sum(value.sum() for value in end.units.values()), x)
    assert float(slope.abs().max()) > 0


class _Elsewhere(SimulatorSession):
    pass


@configurable
class _Foreign(Backend):
    def open(self, network: Network, energy: Any, relaxer: Any, **_: Any) -> Session:
        return _Elsewhere(network, energy, relaxer)


@pytest.mark.parametrize("backend", [Simulator(), _Foreign()])
def test_every_backend_asks_whether_a_dynamics_fits_energy_and_wiring(backend: Backend) -> None:
    oim, cim = (free_problem(make("energy", name), "convolutions") for name in ("oim", "cim"))
    where = {"device": torch.device("cpu"), "dtype": torch.float64}
    with pytest.raises(UsageError, match="its Hessian is written from dense edges"):
        backend.open(oim.network, oim.energy, make("relaxer", "oim-newton"), **where)
    with pytest.raises(UsageError, match="have walls, and this dynamics knows none"):
        backend.open(cim.network, cim.energy, make("relaxer", "oim"), **where)


def test_a_session_that_is_closed_settles_nothing() -> None:
    problem = free_problem(make("energy", "hopfield"), "one hidden layer")
    with Simulator().open(
        problem.network, problem.energy, make("relaxer", "hopfield"), device=torch.device("cpu"), dtype=torch.float64
    ) as session:
        session.settle(problem)
    with pytest.raises(RunError, match="is closed"):
        session.settle(problem)


def test_a_trained_net_opens_a_session_of_its_own_and_closes_it() -> None:
    result = eb.train({"name": "mlp", "hidden": [4]}, epochs=1)
    x = torch.zeros(2, 1, 8, 8)
    with result.net as net:
        first, session = net.predict(x), net.session
    with pytest.raises(RunError, match="is closed"):
        session.settle(Problem.free(net.network, net.energy, x))
    assert torch.equal(result.net.predict(x), first)
    assert result.net.session is not session
