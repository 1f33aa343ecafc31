"""Equilibrium propagation: contrast two states settled under different nudges.

    s_beta = argmin F,   F = E + beta C
    g = [dE/dtheta(s_{beta2}) - dE/dtheta(s_{beta1})] / (beta2 - beta1)

Scellier et al., NeurIPS 2023 (arXiv 2312.15103), Sec. 2 and Theorems 1-3.
"""

import torch
from torch import Tensor

from eb_core import Cost, Energy, Network, Problem, State, configurable
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

    def why_not(self, energy: Energy, cost: Cost) -> str | None:
        return self._unbounded(energy.output_curvature, cost) if energy.output_curvature > 0 else None

    def why_not_on(self, network: Network, energy: Energy, cost: Cost) -> str | None:
        return self._unbounded(output_curvature(network, energy), cost)

    def _unbounded(self, own: float, cost: Cost) -> str | None:
        """Why F has no minimum at the lower strength, for outputs of this curvature; or None."""
        lowest, slope = self.strengths()[0], cost.quadratic(torch.zeros(1, 1))
        curvature = own + lowest * (cost.curvature if slope is None else slope[0])
        if lowest < 0 and curvature <= 0:
            return f"beta = {lowest:g} leaves the output a curvature of {curvature:g}, so F has no minimum: lower beta"
        return None

    def perturbed(self, problem: Problem, free: State, cost: Cost, target: Tensor, beta: float) -> Problem:
        return problem.nudged(cost, target, beta, scale=self.beta)
