"""What `eb check` measures: does a dynamics settle, and is a rule's estimate the gradient that it claims to be?

On small random nets in float64: residual and stationarity at the end of ample settling, energy along the way, cosine
and relative error of the rule against the exact gradient (implicit differentiation) as beta shrinks, with the order
that the error shows. EP's theory (EBL Theorems 1-3): order 1 one-sided, order 2 centred, away from kinks of the box.
"""

import math
from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from eb_core.learning.backend import Session
from eb_core.learning.oracle import ExactGradient, exact_gradient, mobility
from eb_core.learning.rule import Rule
from eb_core.learning.simulator import Simulator
from eb_core.registry.options import evolve
from eb_core.settling.iterative import IterativeRelaxer
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxer
from eb_core.settling.state import State
from eb_core.settling.workspace import Workspace
from eb_core.testing.nets import SHAPES, random_network
from eb_core.testing.problems import BATCH, labels_of, random_state, residual_by_autograd
from eb_core.things.cost import Cost
from eb_core.things.energy import Energy
from eb_core.things.network import Model
from eb_core.training.trainer import make_network

BETAS = (1e-2, 1e-3, 1e-4)
STATIONARY = 1e-9
COSINE = 0.9999
ORDER_SLACK = 0.35
ROUGH = 1e-7
"""Below this relative error the order is hidden by rounding and is not judged."""


@attrs.frozen
class Finding:
    """One measured figure: what it is, on which net, and whether it is as promised (None: reported, not judged)."""

    subject: str
    net: str
    what: str
    value: float
    expected: str = ""
    holds: bool | None = None


def nets(energy: Energy, model: Model | None = None) -> list[tuple[str, Problem]]:
    """Problems whose free state has no kink near: of several seeds the one with the most room."""
    if model is None:
        return [(shape, _roomy(energy, shape)) for shape in SHAPES]
    generator = torch.Generator().manual_seed(0)
    network = make_network(model, energy, (1, 8, 8), 3, generator=generator, dtype=torch.float64)
    x = torch.rand(BATCH, 1, 8, 8, generator=generator, dtype=torch.float64)
    return [("model", Problem.free(network, energy, x))]


def _roomy(energy: Energy, shape: str) -> Problem:
    best: tuple[float, Problem] | None = None
    for seed in range(12):
        network = random_network(energy, shape, seed)
        generator = torch.Generator().manual_seed(seed + 1)
        size = network.layers[network.input].size
        problem = Problem.free(network, energy, torch.rand(BATCH, size, generator=generator, dtype=torch.float64))
        state = problem.rest()
        work = Workspace(problem, state)
        with torch.no_grad():
            for _ in range(400):
                for name in work.order():
                    work.write(name, work.minimized(name))
        room = kink_distance(problem, work.state())
        if best is None or room > best[0]:
            best = (room, problem)
    assert best is not None
    return best[1]


def kink_distance(problem: Problem, state: State) -> float:
    """Distance of the nearest unit of the batch to a kink of its box."""
    return float(mobility(problem, state)[1].min())


def ample(relaxer: Relaxer) -> Relaxer:
    """The same dynamics with budget and tolerance for float64; other kinds of relaxers as they are."""
    if not isinstance(relaxer, IterativeRelaxer):
        return relaxer
    return evolve(relaxer, steps=4000, nudged_steps=4000, tol=1e-12, nudged_tol=1e-14, check_every=20)


def measure_relaxer(name: str, relaxer: Relaxer, energy: Energy, model: Model | None = None) -> list[Finding]:
    """Residual and stationarity after ample settling, and the energy along the way where theory promises descent."""
    reason = relaxer.why_not(energy)
    if reason:
        return [Finding(f"relaxer {name}", "-", f"refused: {reason}", math.nan)]
    found = []
    for net, problem in nets(energy, model):
        end = ample(relaxer).relax(problem, generator=torch.Generator().manual_seed(0))
        stationary = float(residual_by_autograd(problem, end.state).max())
        subject = f"relaxer {name}"
        found.append(_judged(subject, net, "residual by autograd", stationary, STATIONARY))
        if end.residual is not None:
            gap = abs(float(end.residual.max()) - stationary)
            found.append(_judged(subject, net, "residual it reports, error", gap, STATIONARY))
        found.append(Finding(subject, net, "iterations", float(end.steps.double().mean())))
        if relaxer.monotone:
            start = random_state(problem, seed=11)
            trace = relaxer.relax(problem, start, trace=True).trace
            if trace is not None:
                climb = float((trace.energy.diff(dim=0) / (trace.energy[0].abs() + 1)).max())
                found.append(_judged(subject, net, "largest rise of F", max(climb, 0.0), 1e-12))
    return found


def measure_rule(
    name: str, rule: Rule, relaxer: Relaxer, energy: Energy, cost: Cost, model: Model | None = None
) -> list[Finding]:
    """Cosine and relative error against the exact gradient, and their order in beta where the rule has a beta."""
    reason = rule.why_not(energy, cost)
    if reason:
        return [Finding(f"rule {name}", "-", f"refused: {reason}", math.nan)]
    found = []
    for net, problem in nets(energy, model):
        settled = ample(relaxer)
        classes = problem.network.layers[problem.network.output].size
        target = cost.encode(labels_of(problem), classes, energy, torch.float64)
        free = settled.relax(problem, generator=torch.Generator().manual_seed(0))
        exact = exact_gradient(problem, free.state, cost, target)
        session = Simulator().open(problem.network, energy, settled, device=torch.device("cpu"), dtype=torch.float64)
        subject = f"rule {name}"
        found.append(_judged(subject, net, "residual of the free state", float(exact.residual.max()), STATIONARY))
        found.append(Finding(subject, net, "smallest curvature", float(exact.curvature.min()), "> 0", _positive(exact)))
        found.append(Finding(subject, net, "distance to a kink", float(exact.kink.min())))
        found += _against_oracle(subject, net, rule, session, problem, target, cost, exact)
    return found


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
        estimate = asked.estimate(
            session, problem.x, target, cost, generator=torch.Generator().manual_seed(0)
        ).gradients
        names = list(exact.gradients)
        got = torch.cat([estimate[name].flatten() for name in names])
        true = torch.cat([exact.gradients[name].flatten() for name in names])
        error = float((got - true).norm() / true.norm())
        cosine = float(torch.cosine_similarity(got, true, dim=0))
        errors.append(error)
        at = "" if beta is None else f" at beta {beta:g}"
        found.append(Finding(subject, net, f"relative error{at}", error))
    promised = rule.error_order is not None
    found.append(
        Finding(
            subject, net, "cosine", cosine, f">= {COSINE}" if promised else "", cosine >= COSINE if promised else None
        )
    )
    if has_beta and rule.error_order is not None and errors[0] > ROUGH and errors[1] > 0:
        order = math.log10(errors[0] / errors[1])
        holds = abs(order - rule.error_order) <= ORDER_SLACK
        found.append(Finding(subject, net, "order in beta", order, f"{rule.error_order} ± {ORDER_SLACK}", holds))
    return found


def _judged(subject: str, net: str, what: str, value: float, limit: float) -> Finding:
    return Finding(subject, net, what, value, f"<= {limit:g}", value <= limit)


def _positive(exact: ExactGradient) -> bool:
    return bool((exact.curvature > 0).all())
