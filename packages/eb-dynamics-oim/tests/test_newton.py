"""Newton's linear algebra against dense solutions, and the gradient of what it settles."""

import pytest
import torch
from torch import Tensor

from eb_core import Dense, Network, Problem, State, UsageError, View
from eb_core.diagnostics.problems import labels_of, nudged
from eb_core.learning.oracle import exact_gradient
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import free_problem, random_state
from eb_dynamics_oim.energy import OscillatorEnergy
from eb_dynamics_oim.hessian import Groups, local
from eb_dynamics_oim.newton import NewtonPhases
from eb_dynamics_oim.pairs import Pairs
from eb_dynamics_oim.schur import Blocks, solved

ENERGY = OscillatorEnergy(sync=0.1)
SHAPES = ("one hidden layer", "three hidden layers", "skip edges")


def dense_hessian(problem: Problem, state: State, names: list[str], row: int) -> Tensor:
    """d2F/dphi2 of one sample by autograd, layers in the order of `names`."""
    part, one = problem.select(torch.tensor([row])), state.select(torch.tensor([row]))
    sizes = [one[name].numel() for name in names]

    def objective(flat: Tensor) -> Tensor:
        units = {name: piece.view_as(one[name]) for name, piece in zip(names, flat.split(sizes), strict=True)}
        return part.objective(State({**one.units, **units})).sum()

    return torch.autograd.functional.hessian(objective, torch.cat([one[name].flatten() for name in names]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("beta", [0.0, 0.3, -0.3])
def test_the_schur_step_solves_the_dense_system_of_the_autograd_hessian(shape: str, beta: float) -> None:
    problem = free_problem(ENERGY, shape)
    problem = nudged(problem, SquaredError(), beta) if beta else problem
    work = View(problem, random_state(problem))
    groups = Groups(work)
    with torch.no_grad():
        looked = local(work)
        step, dt = solved(groups.system(work, looked), torch.full((problem.batch,), 3.0, dtype=torch.float64))
    names = [*groups.near, *groups.far]
    forces = torch.cat([work.force(name) for name in names], dim=1).detach()
    own = torch.cat([looked[:, groups.columns[name]] for name in names], dim=1)
    torch.testing.assert_close(own, forces)
    for row in range(problem.batch):
        matrix = dense_hessian(problem, work.state(), names, row)
        shifted = matrix + torch.eye(len(matrix), dtype=torch.float64) / dt[row]
        assert float(torch.linalg.eigvalsh(shifted)[0]) > 0
        torch.testing.assert_close(step[row], torch.linalg.solve(shifted, forces[row]), rtol=1e-9, atol=1e-11)
        assert float(dt[row]) in {3.0 / 2**k for k in range(20)}
        if float(dt[row]) < 3.0:
            longer = matrix + torch.eye(len(matrix), dtype=torch.float64) / (2 * dt[row])
            assert float(torch.linalg.eigvalsh(longer)[0]) <= 1e-9


@torch.no_grad()
def test_a_layer_of_pairs_gives_the_step_of_the_blocks_that_are_written_out() -> None:
    view = View(free_problem(ENERGY, "one hidden layer"), random_state(free_problem(ENERGY, "one hidden layer")))
    groups, looked = Groups(view), local(view)
    pairs = groups.system(view, looked)
    assert isinstance(pairs, Pairs)
    groups._pairs = None
    blocks = groups.system(view, looked)
    assert isinstance(blocks, Blocks)
    dt = torch.logspace(-2, 1, view.batch, dtype=torch.float64)
    for one, other in zip(solved(pairs, dt), solved(blocks, dt), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_dt_is_halved_only_where_the_matrix_is_not_positive_definite() -> None:
    blocks = Blocks(torch.ones(3, 2, dtype=torch.float64), torch.tensor([[1.0, 1], [-1, 1], [-9, 1]]).double())
    step, dt = solved(blocks, torch.full((3,), 2.0, dtype=torch.float64))
    assert dt.tolist() == [2.0, 0.5, 0.0625]
    torch.testing.assert_close(step[2], torch.tensor([1 / 7, 1 / 17], dtype=torch.float64))


def test_a_matrix_that_is_not_finite_ends_the_halving() -> None:
    blocks = Blocks(torch.ones(1, 2), torch.full((1, 2), torch.nan))
    assert float(solved(blocks, torch.ones(1))[1]) < 1e-8


def test_newton_refuses_edges_that_it_cannot_write_out_and_names_what_can() -> None:
    class Sparse(Dense):
        pass

    network = Network(
        [("in", (3,)), ("h", (4,)), ("out", (2,))], [Dense("in", "h", (3,), (4,)), Sparse("h", "out", (4,), (2,))]
    )
    with pytest.raises(UsageError, match="oim-heavy-ball"):
        NewtonPhases().relax(Problem.free(network, ENERGY, torch.zeros(1, 3)))


def well_conditioned(shape: str) -> tuple[Problem, State]:
    """A free problem cut down to the samples whose minimum is steep, and that minimum."""
    problem = free_problem(OscillatorEnergy(), shape, seed=5 if shape == "one hidden layer" else 2)
    free = NewtonPhases(steps=2000, tol=1e-12).relax(problem).state
    target = SquaredError().encode(labels_of(problem), 3, problem.energy, torch.float64)
    steep = exact_gradient(problem, free, SquaredError(), target).curvature > 0.06
    assert int(steep.sum()) >= 2
    rows = steep.nonzero()[:, 0]
    return problem.select(rows), free.select(rows)


@pytest.mark.parametrize("shape", ["one hidden layer", "three hidden layers"])
def test_the_centred_estimate_approaches_the_exact_gradient_as_the_square_of_beta(shape: str) -> None:
    problem, free = well_conditioned(shape)
    cost = SquaredError()
    target = cost.encode(labels_of(problem), 3, problem.energy, torch.float64)
    exact = exact_gradient(problem, free, cost, target).gradients
    true = torch.cat([exact[name].flatten() for name in exact])
    relaxer = NewtonPhases(nudged_steps=2000, nudged_tol=1e-13)
    errors = []
    for beta in (1e-3, 1e-4):
        ends = [relaxer.relax(problem.nudged(cost, target, sign * beta), free).state for sign in (1, -1)]
        slopes = []
        for end in ends:
            with torch.enable_grad():
                energy = problem.total_energy(end).mean()
                found = torch.autograd.grad(energy, [problem.network.get_parameter(name) for name in exact])
            slopes.append(torch.cat([slope.flatten() for slope in found]))
        errors.append(float(((slopes[0] - slopes[1]) / (2 * beta) - true).norm() / true.norm()))
    assert errors[1] < 1e-3
    assert 70 < errors[0] / errors[1] < 140
