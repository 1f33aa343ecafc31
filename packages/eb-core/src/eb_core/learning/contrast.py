"""The gradient of every contrastive rule: a weighted sum of energies at settled states.

    g = d/dtheta mean_B sum_k w_k E(theta, s_k),   the s_k held fixed

For C-EP the sum is (E(s_+) - E(s_-)) / (2 beta). One autograd pass over theta with detached states is exact,
serves every physics, and costs little beside the settling.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core.settling.problem import Problem
from eb_core.settling.state import State


def contrast(problem: Problem, terms: Sequence[tuple[float, State]]) -> dict[str, Tensor]:
    """Batch mean of sum_k w_k dE/dtheta at the given states, by parameter name.

    Args:
        problem: any phase of the batch without clamps; it brings network, energy and input.
        terms: pairs (w_k, state).
    """
    names = problem.network.parameter_names()
    parameters = dict(problem.network.named_parameters())
    with torch.enable_grad():
        total = sum(weight * problem.total_energy(state.detach()).mean() for weight, state in terms)
        assert isinstance(total, Tensor)
        gradients = torch.autograd.grad(total, [parameters[name] for name in names], allow_unused=True)
    return {
        name: torch.zeros_like(parameters[name]) if gradient is None else gradient
        for name, gradient in zip(names, gradients, strict=True)
    }
