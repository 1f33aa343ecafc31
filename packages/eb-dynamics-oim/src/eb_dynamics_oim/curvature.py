"""The largest curvature of an energy at rest: is the step of a dynamics stable there?

    H = d2E/ds2 at the rest state,   stable only if   step * max eigenvalue of H < limit

limit 2 for Euler, 2 (1 + mu) for the heavy ball. At rest (all phases pi/2) H of phases does not depend on the input.
It is a necessary condition: curvature along the way, and after training, may be larger.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from eb_core import Diagnostic, Energy, Network, Problem, Setup, State, notice
from eb_core.learning.oracle import smallest_eigenvalue


def curvature_at_rest(network: Network, energy: Energy) -> float:
    """Largest eigenvalue of d2E/ds2 at rest with the input at 0, by 60 steps of Lanczos."""
    like = next(network.parameters())
    problem = Problem.free(network, energy, like.new_zeros(1, *network.layers[network.input].shape))
    units = {name: value.detach().requires_grad_() for name, value in problem.initial_state().units.items()}
    with torch.enable_grad():
        slope = torch.autograd.grad(problem.total_energy(State(units)).sum(), list(units.values()), create_graph=True)
    sizes = [value.numel() for value in units.values()]

    def flipped(vector: Tensor) -> Tensor:
        parts = [part.view_as(s) for part, s in zip(vector.split(sizes, dim=1), units.values(), strict=True)]  # type: ignore[no-untyped-call]
        found = torch.autograd.grad(slope, list(units.values()), parts, retain_graph=True, materialize_grads=True)
        return -torch.cat([part.flatten(1) for part in found], dim=1)

    return -float(smallest_eigenvalue(flipped, like.new_ones(1, sum(sizes))))


def step_notices(setup: Setup, step: float, limit: float) -> Iterator[Diagnostic]:
    """Advice where `step` is too long for the curvature at rest."""
    if setup.network is None or setup.energy is None or not setup.with_notices:
        return
    curvature = curvature_at_rest(setup.network, setup.energy)
    if not step * curvature < limit:
        yield notice(
            f"eps = {step:g} is unstable: times the largest curvature at rest, {curvature:.3g}, it is"
            f" {step * curvature:.3g}, not below {limit:g}; lower eps below {limit / curvature:.2g}"
        )
