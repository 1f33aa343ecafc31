"""What `eb check` measures: does a dynamics settle, and is a rule's estimate the gradient that it claims to be?

On small random nets in float64: residual and stationarity at the end of ample settling, energy along the way, cosine
and relative error of the rule against the exact gradient (implicit differentiation) as beta shrinks, with the order
that the error shows. EP's theory (EBL Theorems 1-3): order 1 one-sided, order 2 centred, away from kinks of the box.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import attrs
import torch
from torch import Tensor

from eb_core.diagnostics.problems import labels_of, random_state, residual_by_definition
from eb_core.diagnostics.well_conditioned import Nets, nets
from eb_core.learning.fit import misfit
from eb_core.learning.oracle import ExactGradient, exact_gradient
from eb_core.learning.rule import Rule
from eb_core.learning.session import Session
from eb_core.learning.simulator import Simulator
from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry.options import evolve
from eb_core.registry.setup import Setup
from eb_core.settling.iterative import IterativeRelaxer
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer

BETAS = (1e-2, 1e-3, 1e-4)
STATIONARY = 1e-9
COSINE = 0.9999
ORDER_SLACK = 0.35
ROUGH = 3e-8
"""Below this relative error the order is hidden by rounding and by what is left of the residual."""
FIRST_BUDGET, LAST_BUDGET = 500, 64_000


@attrs.frozen
class Finding:
    """One measured figure: what it is, on which net, and whether it is as promised (None: reported, not judged)."""

    subject: str
    net: str
    what: str
    value: float
    expected: str = ""
    holds: bool | None = None


def settle_amply(relaxer: Relaxer, problem: Problem) -> tuple[Relaxer, Relaxation]:
    """The free state to 1e-12, and the dynamics with the budget and the tolerances that it needs for this.

    A slow dynamics gets twice the iterations again and again, as long as that takes a tenth off its residual.
    Relaxers of other kinds are taken as they are. What was settled with the same weights is not settled again.
    """
    return _settled(relaxer, problem, problem.network.version)


@lru_cache(maxsize=128)
def _settled(relaxer: Relaxer, problem: Problem, version: int) -> tuple[Relaxer, Relaxation]:
    if not isinstance(relaxer, IterativeRelaxer):
        return relaxer, relaxer.relax(problem, generator=_generator())
    budget, before = FIRST_BUDGET, math.inf
    while True:
        asked = evolve(relaxer, steps=budget, nudged_steps=2 * budget, tol=1e-12, nudged_tol=1e-14, check_every=20)
        end = asked.relax(problem, generator=_generator())
        left = float(end.residual.max())
        if left <= asked.tol or budget >= LAST_BUDGET or not left <= 0.9 * before:
            return asked, end
        budget, before = 2 * budget, left


def measure_relaxer(name: str, relaxer: Relaxer, energy: Energy, problems: Nets | None = None) -> list[Finding]:
    """Residual and stationarity after ample settling, and the energy along the way where theory promises descent."""
    subject = f"relaxer {name}"
    reason = misfit(Setup(energy=energy, relaxer=relaxer))
    if reason:
        return [Finding(subject, "-", f"refused: {reason}", math.nan)]
    found = []
    for net, problem in nets(energy) if problems is None else problems:
        unfit = misfit(Setup(energy=energy, relaxer=relaxer, network=problem.network))
        if unfit:
            found.append(Finding(subject, net, f"refused: {unfit}", math.nan))
            continue
        _, end = settle_amply(relaxer, problem)
        stationary = float(residual_by_definition(problem, end.state).max())
        way = "autograd" if energy.differentiable else "turning spins"
        found.append(_judged(subject, net, f"residual by {way}", stationary, STATIONARY))
        gap = abs(float(end.residual.max()) - stationary)
        found.append(_judged(subject, net, "residual it reports, error", gap, STATIONARY))
        if end.steps is not None:
            found.append(Finding(subject, net, "iterations", float(end.steps.double().mean())))
        if relaxer.properties().descends:
            start = random_state(problem, seed=11)
            trace = relaxer.relax(problem, start, generator=_generator(), trace=True).trace
            if trace is not None:
                climb = float((trace.energy.diff(dim=0) / (trace.energy[0].abs() + 1)).max())
                found.append(_judged(subject, net, "largest rise of F", max(climb, 0.0), 1e-12))
    return found


def measure_rule(
    name: str, rule: Rule, relaxer: Relaxer, energy: Energy, cost: Cost, problems: Nets | None = None
) -> list[Finding]:
    """Cosine and relative error against the exact gradient, and their order in beta where the rule has a beta.

    Where the free state is not stationary there is no exact gradient to compare with: that is then all it says.
    """
    subject = f"rule {name}"
    reason = misfit(Setup(energy=energy, relaxer=relaxer, rule=rule, cost=cost)) or _not_smooth(energy)
    if reason:
        return [Finding(subject, "-", f"refused: {reason}", math.nan)]
    found = []
    for net, problem in nets(energy) if problems is None else problems:
        if misfit(Setup(energy=energy, relaxer=relaxer, network=problem.network)):
            continue
        settled, free = settle_amply(relaxer, problem)
        classes = problem.network.layers[problem.network.output].size
        target = cost.encode(labels_of(problem), classes, energy, torch.float64)
        exact = exact_gradient(problem, free.state, cost, target)
        stationary = _judged(subject, net, "residual of the free state", float(exact.residual.max()), STATIONARY)
        found.append(stationary)
        if not stationary.holds:
            continue
        positive = bool((exact.curvature > 0).all())
        found.append(Finding(subject, net, "smallest curvature", float(exact.curvature.min()), "> 0", positive))
        found.append(Finding(subject, net, "distance to a kink", float(exact.kink.min())))
        session = Simulator().open(problem.network, energy, settled, device=torch.device("cpu"), dtype=torch.float64)
        found += _against_oracle(subject, net, rule, session, problem, target, cost, exact)
    return found


def _not_smooth(energy: Energy) -> str | None:
    kind = type(energy).__name__
    return None if energy.differentiable else f"units of {kind} have no derivative, so there is no exact gradient"


def _against_oracle(
    subject: str,
    net: str,
    rule: Rule,
    session: Session,
    problem: Problem,
    target: Tensor,
    cost: Cost,
    exact: ExactGradient,
) -> list[Finding]:
    has_beta = hasattr(rule, "beta") and rule.error_order is not None
    betas: Sequence[float | None] = BETAS if has_beta else (None,)
    found, errors, cosine = [], [], math.nan
    for beta in betas:
        asked = rule if beta is None else evolve(rule, beta=beta)
        estimate = asked.estimate(session, problem.x, target, cost, generator=_generator()).gradients
        names = list(exact.gradients)
        got = torch.cat([estimate[name].flatten() for name in names])
        true = torch.cat([exact.gradients[name].flatten() for name in names])
        errors.append(float((got - true).norm() / true.norm()))
        cosine = float(torch.cosine_similarity(got, true, dim=0))
        at = "" if beta is None else f" at beta {beta:g}"
        found.append(Finding(subject, net, f"relative error{at}", errors[-1]))
    promised = rule.error_order
    if promised is None:
        return [*found, Finding(subject, net, "cosine", cosine)]
    found.append(Finding(subject, net, "cosine", cosine, f">= {COSINE}", cosine >= COSINE))
    order = _order(errors)
    if has_beta and order is not None:
        holds = abs(order - promised) <= ORDER_SLACK
        found.append(Finding(subject, net, "order in beta", order, f"{promised} ± {ORDER_SLACK}", holds))
    return found


def _order(errors: Sequence[float]) -> float | None:
    """n in error ~ beta^n from the two smallest beta whose errors can be told from rounding; None if none can."""
    clear = [error for error in errors if error > ROUGH]
    if len(clear) > 1:
        return math.log10(clear[-2] / clear[-1])
    return math.log10(errors[0] / errors[1]) if clear and errors[1] > 0 else None


def _judged(subject: str, net: str, what: str, value: float, limit: float) -> Finding:
    return Finding(subject, net, what, value, f"<= {limit:g}", value <= limit)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
