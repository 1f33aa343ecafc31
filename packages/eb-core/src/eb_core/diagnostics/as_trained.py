"""Is an estimate the gradient that its rule names at the options it trains with, or only when settled to the end?

The same rule on the same net, once with the dynamics as its options say, once with the dynamics settled amply: by the
envelope theorem the second one is the exact gradient of the function that a contrastive rule names at this beta. What
the two differ by is residuals, early stops and spent budgets, which a contrast divides by beta. So it is measured for
beta from 0.1 down to 1e-5, and judged by the worst.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from eb_core.diagnostics.measure import Finding, settle_amply
from eb_core.diagnostics.problems import labels_of
from eb_core.diagnostics.well_conditioned import Nets, nets
from eb_core.learning.fit import misfit
from eb_core.learning.rule import Rule
from eb_core.learning.simulator import Simulator
from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry.options import evolve
from eb_core.registry.setup import Setup
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxer
from eb_core.training.diagnosis import FAITHFUL

BETAS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
WORST = "cosine as trained"
VANISHED = 1e-12
"""Norm of an estimate that is nothing but rounding: where nothing answers the nudge there is no direction."""


def measure_as_trained(
    subject: str, rule: Rule, relaxer: Relaxer, energy: Energy, cost: Cost, problems: Nets | None = None
) -> list[Finding]:
    """The worst cosine over beta on each net, judged, and the cosine at each beta.

    Args:
        subject: what is judged, such as `rule p-ep with hopfield on hopfield`.
        rule: taken at its own beta and, where units have a derivative, at `BETAS`.
        relaxer: the dynamics, with the budgets and tolerances that it trains with.
        energy: physics of the nets.
        cost: C, whose gradient is estimated.
        problems: pairs (name of the net, free problem); default: every wiring that fits the energy.
    """
    if misfit(Setup(energy=energy, relaxer=relaxer, rule=rule, cost=cost)):
        return []
    found = []
    for net, problem in nets(energy) if problems is None else problems:
        if misfit(Setup(energy=energy, relaxer=relaxer, network=problem.network)):
            continue
        cosines = dict(_cosines(rule, relaxer, problem, cost))
        worst = min(cosines.values(), key=lambda value: -math.inf if math.isnan(value) else value)
        found.append(Finding(subject, net, WORST, worst, f">= {FAITHFUL:g}", worst >= FAITHFUL))
        found += [
            Finding(subject, net, f"{WORST} at beta {beta:g}", value)
            for beta, value in cosines.items()
            if beta is not None
        ]
    return found


def _cosines(rule: Rule, relaxer: Relaxer, problem: Problem, cost: Cost) -> Iterator[tuple[float | None, float]]:
    """(beta, cosine) for the rule's own beta and for `BETAS`; beta is None for a rule that has none.

    Spins turn or do not: they are measured at the rule's own beta alone.
    """
    settled, _ = settle_amply(relaxer, problem)
    own = getattr(rule, "beta", None)
    for beta in (
        (None,) if own is None else sorted({own, *(BETAS if problem.energy.differentiable else ())}, reverse=True)
    ):
        asked = rule if beta in (None, own) else evolve(rule, beta=beta)
        if misfit(Setup(energy=problem.energy, rule=asked, cost=cost)) is None:
            estimate, converged = (_estimate(asked, dynamics, problem, cost) for dynamics in (relaxer, settled))
            vanishes = float(converged.norm()) <= VANISHED
            yield beta, 1.0 if vanishes else float(torch.cosine_similarity(estimate, converged, dim=0))


def _estimate(rule: Rule, relaxer: Relaxer, problem: Problem, cost: Cost) -> Tensor:
    network, energy, dtype = problem.network, problem.energy, problem.x.dtype
    target = cost.encode(labels_of(problem), network.layers[network.output].size, energy, dtype)
    generator = torch.Generator().manual_seed(0)
    with Simulator().open(network, energy, relaxer, device=torch.device("cpu"), dtype=dtype) as session:
        gradients = rule.estimate(session, problem.x, target, cost, generator=generator).gradients
    return torch.cat([gradients[name].flatten() for name in network.parameter_names()])
