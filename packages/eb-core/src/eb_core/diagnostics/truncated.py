"""Equilibrium propagation along the nudged phase against truncated backpropagation through time (BPTT).

    EP_k   = [dE/dtheta(s_k(+b)) - dE/dtheta(s_k(-b))] / (2b),   s_k(b): k nudged iterations from the free state s*
    BPTT_k = d C(f^k(s*)) / dtheta,                               f: one free iteration, s* held fixed

Ernoult, Grollier, Querlioz, Bengio, Scellier, NeurIPS 2019 (arXiv 1905.13633), Theorem 1, in increments: as b -> 0
the k-th increment of EP is the k-th term of BPTT. Near s*, one iteration is s <- s - M dF/ds with some M that maps
forces to steps, so that with H = d2E/ds2

    EP_k   = -(d2E/dtheta ds) S_k C',   BPTT_k = -(d2E/dtheta ds) S_k' C',   S_k = sum_{j<k} (I - M H)^j M

They agree for every k where S_k is symmetric, which it is for a symmetric M: all layers at once from the old state,
with any step, also with momentum and with units held at walls (a polynomial in H, restricted to the units that move).
A sweep from layer to layer has a triangular M: there EP_k is BPTT_k of the sweep in the opposite order, the two
differ at small k and meet where both have become the exact gradient.
"""

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor

from eb_core.diagnostics.measure import Finding, settle_amply
from eb_core.diagnostics.problems import labels_of
from eb_core.diagnostics.well_conditioned import Nets, nets
from eb_core.learning.contrast import contrast
from eb_core.learning.fit import misfit
from eb_core.learning.oracle import exact_gradient
from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry.setup import Setup
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxer
from eb_core.settling.state import State

BETA = 1e-4
STRIDE, LAST = 3, 30
AGREE = 10 * BETA
"""Largest relative difference where theory promises equality as beta -> 0."""


@attrs.frozen
class Truncation:
    """Both gradients after k = 0, STRIDE, … LAST iterations on one net, relative to the size of the exact one.

    Args:
        ep, bptt: distance of each from the exact gradient.
        difference: distance of the one from the other.
    """

    subject: str
    net: str
    steps: tuple[int, ...]
    ep: tuple[float, ...]
    bptt: tuple[float, ...]
    difference: tuple[float, ...]


def measure_truncated(
    name: str, relaxer: Relaxer, energy: Energy, cost: Cost, problems: Nets | None = None
) -> tuple[list[Finding], list[Truncation]]:
    """The largest difference over k on each net, judged where the relaxer promises equality, and the curves."""
    reason = misfit(Setup(energy=energy, relaxer=relaxer))
    if not reason and not energy.differentiable:
        return [], []
    if reason:
        return [Finding(f"relaxer {name}", "-", f"refused: {reason}", float("nan"))], []
    found, curves = [], []
    for net, problem in nets(energy) if problems is None else problems:
        if misfit(Setup(energy=problem.energy, relaxer=relaxer, network=problem.network)):
            continue
        _, free = settle_amply(relaxer, problem)
        classes = problem.network.layers[problem.network.output].size
        target = cost.encode(labels_of(problem), classes, energy, problem.x.dtype)
        curve = _compare(f"relaxer {name}", net, relaxer, problem, free.state.detach(), cost, target)
        curves.append(curve)
        apart = max(curve.difference)
        promised = relaxer.properties().symmetric_response
        found.append(
            Finding(
                curve.subject,
                net,
                "EP against truncated BPTT",
                apart,
                f"<= {AGREE:g}" if promised else "",
                apart <= AGREE if promised else None,
            )
        )
    return found, curves


def _compare(
    subject: str, net: str, relaxer: Relaxer, problem: Problem, free: State, cost: Cost, target: Tensor
) -> Truncation:
    true = _flat(exact_gradient(problem, free, cost, target).gradients.values())
    size = float(true.norm()) or float("nan")  # nothing has a distance relative to zero
    nudged = {weight: problem.nudged(cost, target, beta) for weight, beta in ((0.5 / BETA, BETA), (-0.5 / BETA, -BETA))}
    steps = tuple(range(0, LAST + 1, STRIDE))
    ep, bptt, difference = [], [], []
    for count in steps:
        with torch.no_grad():
            ends = [
                (weight, relaxer.iterate(phase, free, count, generator=_generator()))
                for weight, phase in nudged.items()
            ]
        ours = _flat(contrast(problem, ends).values())
        theirs = truncated_bptt(relaxer, problem, free, cost, target, count)
        ep.append(float((ours - true).norm()) / size)
        bptt.append(float((theirs - true).norm()) / size)
        difference.append(float((ours - theirs).norm()) / size)
    return Truncation(subject, net, steps, tuple(ep), tuple(bptt), tuple(difference))


def truncated_bptt(relaxer: Relaxer, problem: Problem, free: State, cost: Cost, target: Tensor, steps: int) -> Tensor:
    """d/dtheta of the mean cost after `steps` iterations from `free`, which is held fixed: all parameters, flat."""
    parameters = dict(problem.network.named_parameters())
    leaves = [parameters[name] for name in problem.network.parameter_names()]
    if not steps:
        return torch.cat([torch.zeros_like(leaf).flatten() for leaf in leaves])
    with torch.enable_grad():
        end = relaxer.iterate(problem, free, steps, generator=_generator())
        loss = cost.value(problem.readout(end), target).mean()
        return _flat(torch.autograd.grad(loss, leaves, materialize_grads=True))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _flat(parts: Iterable[Tensor]) -> Tensor:
    return torch.cat([part.detach().flatten() for part in parts])
