"""Equilibrium propagation against finite differences of the cost at the free equilibrium, in float64."""

import pytest
import torch
from registered import make
from torch import Tensor

from eb_core import Cost, Problem
from eb_core.diagnostics.problems import labels_of
from eb_core.learning.simulator import Simulator
from eb_core.physics.cross_entropy import CrossEntropy
from eb_core.physics.squared_error import SquaredError
from eb_core.testing import free_problem

ENERGY = make("energy", "hopfield")
RELAXER = make("relaxer", "hopfield", steps=2000, nudged_steps=2000, tol=1e-13, nudged_tol=1e-15)


def settled_cost(problem: Problem, cost: Cost, target: Tensor) -> float:
    fresh = Problem.free(problem.network, problem.energy, problem.x)
    return float(cost.value(fresh.readout(RELAXER.relax(fresh).state), target).mean())


def estimate(rule: str, beta: float, problem: Problem, cost: Cost, target: Tensor) -> dict[str, Tensor]:
    session = Simulator().open(problem.network, ENERGY, RELAXER, device=torch.device("cpu"), dtype=torch.float64)
    return dict(make("rule", rule, beta=beta).estimate(session, problem.x, target, cost).gradients)


def directional_errors(shape: str, cost: Cost, rule: str, betas: tuple[float, ...]) -> list[float]:
    """Relative errors of the directional derivative along a random direction of all parameters."""
    problem = free_problem(ENERGY, shape, seed=3)
    network = problem.network
    target = cost.encode(labels_of(problem), 3, ENERGY, torch.float64)
    generator = torch.Generator().manual_seed(0)
    direction = {
        name: torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        for name, parameter in network.named_parameters()
    }
    costs = []
    step = 1e-6
    for sign in (1, -2):
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.add_(direction[name], alpha=sign * step)
        costs.append(settled_cost(problem, cost, target))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.add_(direction[name], alpha=step)
    expected = (costs[0] - costs[1]) / (2 * step)
    fresh = Problem.free(network, ENERGY, problem.x)
    found = [estimate(rule, beta, fresh, cost, target) for beta in betas]
    sums = [sum(float((gradient[name] * direction[name]).sum()) for name in direction) for gradient in found]
    return [abs(total - expected) / abs(expected) for total in sums]


@pytest.mark.parametrize("cost", [SquaredError(), CrossEntropy()], ids=["squared-error", "cross-entropy"])
@pytest.mark.parametrize("shape", ["one hidden layer", "three hidden layers", "skip edges"])
def test_centred_ep_is_the_gradient_of_the_settled_cost_up_to_beta_squared(shape: str, cost: Cost) -> None:
    coarse, fine = directional_errors(shape, cost, "c-ep", (1e-2, 1e-3))
    assert fine < 1e-5
    assert 30 < coarse / fine < 300


@pytest.mark.parametrize("rule", ["p-ep", "n-ep"])
def test_one_sided_ep_is_the_gradient_of_the_settled_cost_up_to_beta(rule: str) -> None:
    coarse, fine = directional_errors("one hidden layer", SquaredError(), rule, (1e-2, 1e-3))
    assert fine < 1e-2
    assert 5 < coarse / fine < 20
