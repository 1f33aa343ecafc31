"""Equilibrium propagation: contrast two states settled under different nudges.

    g = [dE/dtheta(s_{beta2}) - dE/dtheta(s_{beta1})] / (beta2 - beta1),   batch mean

with s_beta a minimum of F = E + beta C. (beta1, beta2) is (0, b) for the positive, (-b, 0) for the negative and
(-b, b) for the centred variant. Scellier et al., NeurIPS 2023 (arXiv 2312.15103), Sec. 2 and Theorems 1-3.
"""

from typing import Literal

import torch
from torch import Tensor

from eb_core import Cost, Energy, GradientEstimate, Problem, Rule, Session, State, configurable, contrast, option


@configurable
class EquilibriumPropagation(Rule):
    """The exact gradient of L = [min F_{beta2} - min F_{beta1}] / (beta2 - beta1), a surrogate of C(s_free).

    As b -> 0 this is the gradient of the cost at the free equilibrium: with an error of order b for the positive
    and the negative variant, of order b^2 for the centred one, away from kinks of the box. For global minima and
    finite b the surrogate bounds the cost: L_b <= C(s_free) <= L_{-b}. Both nudges start from the same free state.
    """

    variant: Literal["positive", "negative", "centered"] = option(
        default="centered", help="which two nudges are contrasted: (0, b), (-b, 0) or (-b, b)"
    )
    beta: float = option(default=0.2, help="strength b of the nudge", unit="energy per cost", gt=0)

    def strengths(self) -> tuple[float, float]:
        """(beta1, beta2)."""
        return {"positive": (0.0, self.beta), "negative": (-self.beta, 0.0), "centered": (-self.beta, self.beta)}[
            self.variant
        ]

    def why_not(self, energy: Energy, cost: Cost) -> str | None:
        lowest = self.strengths()[0]
        slope = cost.quadratic(torch.zeros(1, 1))
        curvature = energy.output_curvature + lowest * (cost.curvature if slope is None else slope[0])
        if lowest < 0 and curvature <= 0:
            return f"beta = {lowest:g} leaves the output a curvature of {curvature:g}, so F has no minimum: lower beta"
        return None

    def estimate(
        self,
        session: Session,
        x: Tensor,
        target: Tensor,
        cost: Cost,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        problem = Problem.free(session.network, session.energy, x)
        free = session.settle(problem, generator=generator)
        phases = {"free": free}
        low, high = self.strengths()
        for name, beta in (("minus", low), ("plus", high)):
            if beta:
                phases[name] = session.settle(problem.nudged(cost, target, beta), free.state, generator=generator)
        weight = 1 / (high - low)
        lower, upper = phases.get("minus", free), phases.get("plus", free)
        readout = problem.readout(free.state)
        return GradientEstimate(
            contrast(problem, [(weight, upper.state), (-weight, lower.state)]),
            cost.value(readout, target),
            readout,
            phases,
        )
