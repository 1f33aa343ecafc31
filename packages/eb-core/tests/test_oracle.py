"""The exact gradient against finite differences of the settled cost, over three physics; what it reports beside it."""

import pytest
import torch
from foreign_physics import Amplitudes, Descent, Phases, Springs

from eb_core import Energy, Problem, State
from eb_core.diagnostics.problems import labels_of
from eb_core.learning.oracle import ExactGradient, conjugate_gradients, exact_gradient, smallest_eigenvalue
from eb_core.physics.cost import Cost
from eb_core.physics.cross_entropy import CrossEntropy
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import free_problem

SETTLE = Descent(steps=20000, tol=1e-13, check_every=50)


def settled(problem: Problem, start: State | None = None) -> State:
    return SETTLE.relax(problem, start).state


def oracle(energy: Energy, cost: Cost, seed: int) -> tuple[Problem, State, torch.Tensor, ExactGradient]:
    problem = free_problem(energy, "three hidden layers", seed)
    target = cost.encode(labels_of(problem), 3, energy, torch.float64)
    state = settled(problem)
    return problem, state, target, exact_gradient(problem, state, cost, target)


@pytest.mark.parametrize("cost", [SquaredError(), CrossEntropy()], ids=repr)
@pytest.mark.parametrize(("energy", "seed"), [(Springs(), 0), (Amplitudes(), 3), (Phases(), 5)], ids=repr)
def test_the_exact_gradient_is_that_of_the_settled_cost_by_finite_differences(
    energy: Energy, seed: int, cost: Cost
) -> None:
    problem, state, target, exact = oracle(energy, cost, seed)
    assert float(exact.residual.max()) < 1e-12
    assert float(exact.curvature.min()) > 1e-3
    generator = torch.Generator().manual_seed(0)
    parameters = dict(problem.network.named_parameters())
    direction = {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64) for name, value in parameters.items()
    }
    step, costs = 1e-6, []
    for sign in (1, -2):
        with torch.no_grad():
            for name, value in parameters.items():
                value.add_(direction[name], alpha=sign * step)
        fresh = Problem.free(problem.network, energy, problem.x)
        costs.append(float(cost.value(fresh.readout(settled(fresh, state)), target).detach().mean()))
    expected = (costs[0] - costs[1]) / (2 * step)
    found = sum(float((exact.gradients[name] * direction[name]).sum()) for name in direction)
    assert found == pytest.approx(expected, rel=2e-5)


def test_curvature_and_kinks_are_those_of_the_dense_hessian() -> None:
    problem, state, _, exact = oracle(Amplitudes(), SquaredError(), 3)
    sizes = [layer.size for layer in problem.network.unit_layers]
    names = [layer.name for layer in problem.network.unit_layers]
    for row in range(problem.batch):
        part = problem.select(torch.tensor([row]))
        flat = torch.cat([state[name][row] for name in names])

        def energy(vector: torch.Tensor, part: Problem = part) -> torch.Tensor:
            pieces = vector.split(sizes)  # type: ignore[no-untyped-call]
            return part.total_energy(
                State({name: one.unsqueeze(0) for name, one in zip(names, pieces, strict=True)})
            ).sum()

        inside = (flat > 0) & (flat < 1)
        hessian = torch.autograd.functional.hessian(energy, flat)[inside][:, inside]  # type: ignore[no-untyped-call,index]
        assert float(exact.curvature[row]) == pytest.approx(float(torch.linalg.eigvalsh(hessian).min()), rel=1e-8)
        slope = torch.autograd.functional.jacobian(energy, flat)  # type: ignore[no-untyped-call]
        gaps = torch.where(inside, torch.minimum(flat, 1 - flat), slope.abs())
        assert float(exact.kink[row]) == pytest.approx(float(gaps.min()), rel=1e-9)


def test_the_solver_and_the_eigenvalue_agree_with_dense_linear_algebra_sample_by_sample() -> None:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(4, 9, 9, generator=generator, dtype=torch.float64)
    matrices = root @ root.transpose(1, 2) + 0.1 * torch.eye(9, dtype=torch.float64)
    right = torch.randn(4, 9, generator=generator, dtype=torch.float64)

    def product(vector: torch.Tensor) -> torch.Tensor:
        return (matrices @ vector.unsqueeze(2)).squeeze(2)

    torch.testing.assert_close(
        conjugate_gradients(product, right), torch.linalg.solve(matrices, right), rtol=1e-9, atol=1e-9
    )
    everywhere = torch.ones(4, 9, dtype=torch.float64)
    torch.testing.assert_close(smallest_eigenvalue(product, everywhere), torch.linalg.eigvalsh(matrices)[:, 0])


def test_a_sample_in_which_no_unit_moves_has_infinite_curvature_and_no_gradient_but_biases_of_nothing() -> None:
    product = torch.zeros_like
    assert smallest_eigenvalue(product, torch.zeros(2, 5, dtype=torch.float64)).tolist() == [float("inf")] * 2
