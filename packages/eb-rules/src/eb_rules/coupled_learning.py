"""Coupled learning and contrastive learning: hold the output at a value towards the target, let the rest settle.

    output clamped to (1 - beta) o_free + beta y
    g = [dE/dtheta(s_{beta2}) - dE/dtheta(s_{beta1})] / (beta2 - beta1)

Contrastive learning is the positive variant with beta = 1: the output is clamped to y itself. Scellier et al.,
NeurIPS 2023 (arXiv 2312.15103), Sec. 2; Stern et al., PRX 2021; Movellan 1991.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from eb_core import Cost, Diagnostic, Problem, Setup, State, configurable, refuse
from eb_rules.two_phase import TwoPhase


@configurable
class CoupledLearning(TwoPhase):
    """The gradient of the contrastive function [min E|clamped at beta2 - min E|clamped at beta1] / (beta2 - beta1),
    where the clamped values are held fixed: they depend on theta through o_free, and that part is left out.

    For beta = 1 (`cl`) the value is y and nothing is left out: the exact gradient of
    min E|output = y - min E, which is zero where the free output is right. For other beta it is not the gradient of
    the cost, even as beta -> 0: the two directions agree only roughly (cosine .97 to .99 on trained nets).
    """

    phases = ("free", "clamped")

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if setup.cost is not None and setup.cost.quadratic(torch.zeros(1, 1)) is None:
            yield refuse("it clamps the output towards the target, so the cost must measure the distance to it")
        elif setup.energy is not None and setup.energy.readout_range[0] < 0 and self.variant != "positive":
            yield refuse("clamping away from the target leaves the range of the read-out: use the positive variant")

    def perturbed(self, problem: Problem, free: State, cost: Cost, target: Tensor, beta: float) -> Problem:
        output = problem.network.output
        value = torch.lerp(problem.readout(free), target, beta)
        return problem.clamped({output: problem.energy.with_readout(value, free[output])}, scale=self.beta)
