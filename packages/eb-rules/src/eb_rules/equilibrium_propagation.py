"""Equilibrium propagation: contrast two states settled under different nudges.

    s_beta = argmin F,   F = E + beta C
    g = [dE/dtheta(s_{beta2}) - dE/dtheta(s_{beta1})] / (beta2 - beta1)

Scellier et al., NeurIPS 2023 (arXiv 2312.15103), Sec. 2 and Theorems 1-3.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from eb_core import Cost, Diagnostic, Problem, Setup, State, configurable, refuse
from eb_core.settling.problem import output_curvature
from eb_rules.two_phase import TwoPhase


@configurable
class EquilibriumPropagation(TwoPhase):
    """The exact gradient of L = [min F_{beta2} - min F_{beta1}] / (beta2 - beta1), a surrogate of C(s_free).

    As b -> 0 this is the gradient of the cost at the free equilibrium: with an error of order b for the positive
    and the negative variant, of order b^2 for the centred one, away from kinks of the box. For global minima and
    finite b the surrogate bounds the cost: L_b <= C(s_free) <= L_{-b}. Both states start from the same free state.
    """

    phases = ("free", "nudged")

    @property
    def error_order(self) -> int:  # type: ignore[override]
        """2 for the centred variant, 1 for the one-sided ones."""
        return 2 if self.variant == "centered" else 1

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """Refuses a beta that leaves the output without curvature: its own, and that of edges once they are known."""
        energy, network = setup.energy, setup.network
        if energy is None or setup.cost is None:
            return
        if network is not None:
            yield from self._unbounded(output_curvature(network, energy), setup.cost)
        elif energy.output_curvature > 0:
            yield from self._unbounded(energy.output_curvature, setup.cost)

    def _unbounded(self, own: float, cost: Cost) -> Iterator[Diagnostic]:
        """Why F has no minimum at the lower strength, for outputs of this curvature."""
        lowest, slope = self.strengths()[0], cost.quadratic(torch.zeros(1, 1))
        curvature = own + lowest * (cost.curvature if slope is None else slope[0])
        if lowest < 0 and curvature <= 0:
            yield refuse(
                f"beta = {lowest:g} leaves the output a curvature of {curvature:g}, so F has no minimum: lower beta"
            )

    def perturbed(self, problem: Problem, free: State, cost: Cost, target: Tensor, beta: float) -> Problem:
        return problem.nudged(cost, target, beta, scale=self.beta)
