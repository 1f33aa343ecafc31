"""The cheapest settings of our relaxers whose C-EP gradient is as good as the reference's at its 60 / 20 iterations.

Quality is two cosines over all parameters, in float32 (or settling roughly in bfloat16) over a few test images:

    converged   to the gradient of the same relaxer settled in float64 to a residual of 1e-8
    exact       to the gradient by implicit differentiation, in float64 at the method's own free state

The bar is what the reference reaches in both. A setting reaches it if it misses the first by no more than SLACK, what
would not be seen in the fourth decimal, and the second by no more than KINKS: two relaxers may end in different minima,
or in states that differ in which units just touch a wall, and have different exact gradients there. For every kind of
setting the cheapest that reaches the bar is kept. Of these the one with the fewest iterations, for each precision, is
timed against the reference: a whole step, interleaved repeats, medians.
"""

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from ebl_dchn_nets import Ours
from ebl_mlp import compare
from ebl_reference import Reference
from torch import Tensor

from eb_core import GradientEstimate, Network, Problem, State, exact_gradient

SLACK, KINKS = 5e-5, 1e-3
THEIRS = (60, 20)
BUDGETS = ((5, 3), (6, 4), (8, 5), (10, 6), (12, 6), (15, 8), (20, 10), (25, 12), (30, 15), (40, 15), (60, 20))
TOLERANCES = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "hopfield, colour": ("hopfield", {}),
    "hopfield, forward": ("hopfield", {"order": "forward"}),
    "csb, chosen": ("csb", {}),
    "csb, chosen, forward": ("csb", {"order": "forward"}),
    **{f"csb, dt^2 = {step}": ("csb", {"dt": math.sqrt(step)}) for step in (1.2, 1.3, 1.4)},
    "csb, chosen, bfloat16": ("csb", {"precision": "bfloat16"}),
    "hopfield, bfloat16": ("hopfield", {"precision": "bfloat16"}),
}
STOPPED = ("hopfield, colour", "csb, chosen", "csb, dt^2 = 1.3")
"""Kinds for which the tolerance stop is tried, too."""


def quality(
    path: Path,
    network: Network,
    images: tuple[Tensor, Tensor],
    judged: int,
    beta: float,
    kinds: list[str],
    batches: list[int],
    repeats: int,
) -> dict[str, Any]:
    """The bar, what every kind needs to reach it, and the time of the cheapest."""
    x, labels = images[0][:judged], images[1][:judged]
    judge = Judge(network, beta, x, labels)
    theirs = Reference(path, copy.deepcopy(network), beta, *THEIRS, 0.0)
    bar = judge.reference(theirs)
    report: dict[str, Any] = {"bar": bar}
    print(f"beta {beta}: bar {bar}", flush=True)
    reached: list[tuple[float, str, dict[str, Any]]] = []
    for kind, options in ladders(kinds):
        tried: dict[str, Any] = {}
        for option in options:
            name = f"{option['steps']}/{option['nudged_steps']}, tol {option['tol']:g}"
            tried[name] = judge.ours(kind, option, bar)
            print(f"beta {beta}: {kind}, {name}: {tried[name]}", flush=True)
            if tried[name]["reached"]:
                reached.append((tried[name]["work"], kind, option))
                break
        report.setdefault(kind, {}).update(tried)
    for precision in ("full", "bfloat16"):
        fitting = [one for one in reached if KINDS[one[1]][1].get("precision", "full") == precision]
        if not fitting:
            continue
        work, kind, option = min(fitting, key=lambda one: one[0])
        found: dict[str, Any] = {"kind": kind, **option, "work": work}
        relaxer, fixed = KINDS[kind]
        ours = Ours(copy.deepcopy(network), relaxer, beta=beta, **fixed, **option)
        for size in batches:
            x, labels = images[0][:size], images[1][:size]
            found[f"step, batch {size}"] = race(theirs, ours, x, labels, repeats)
        report[f"cheapest, {precision}"] = found
    return report


def ladders(kinds: list[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every kind with its settings, the cheapest first: fixed iterations, then tolerances."""
    for kind in kinds:
        yield kind, [{"steps": free, "nudged_steps": nudged, "tol": 0.0} for free, nudged in BUDGETS]
        if kind in STOPPED:
            yield kind, [{"steps": 60, "nudged_steps": 30, "tol": tol, "check_every": 3} for tol in TOLERANCES]


class Judge:
    """Both cosines of an estimate over one batch; the converged gradients are computed once for each kind."""

    def __init__(self, network: Network, beta: float, x: Tensor, labels: Tensor) -> None:
        self.network, self.beta, self.x, self.labels = network, beta, x, labels
        self.double = copy.deepcopy(network).double()
        self._converged: dict[str, Tensor] = {}

    def reference(self, theirs: Reference) -> dict[str, float]:
        """What the reference reaches."""
        theirs.load(self.x, self.labels, torch.float32)
        theirs.settle()
        names = [layer.name for layer in self.network.unit_layers]
        free = State(dict(zip(names, theirs.states(), strict=True)))
        gradient = _flat(theirs.gradient(), self.network)
        return {
            "converged": _cosine(gradient, self.converged("hopfield, colour")),
            "exact": _cosine(gradient, self.exact(free)),
        }

    def ours(self, kind: str, option: dict[str, Any], bar: dict[str, float]) -> dict[str, Any]:
        """Cosines and work of one setting; `exact` only if it is not out already."""
        relaxer, fixed = KINDS[kind]
        estimate = Ours(self.network, relaxer, beta=self.beta, **fixed, **option).estimate(self.x, self.labels)
        gradient = _flat(estimate.gradients, self.network)
        found: dict[str, Any] = {"work": _work(estimate, option)}
        found["converged"] = _cosine(gradient, self.converged(kind))
        found["reached"] = found["converged"] >= bar["converged"] - SLACK
        if found["reached"]:
            found["exact"] = _cosine(gradient, self.exact(estimate.phases["free"].state))
            found["reached"] = found["exact"] >= bar["exact"] - KINKS
        return found

    def converged(self, kind: str) -> Tensor:
        """The gradient of this kind, settled in float64."""
        if kind not in self._converged:
            relaxer, fixed = KINDS[kind][0], {**KINDS[kind][1], "precision": "full"}
            long = {"steps": 1000, "nudged_steps": 500, "tol": 1e-7, "nudged_tol": 1e-8, "check_every": 10}
            estimate = Ours(self.double, relaxer, beta=self.beta, **fixed, **long).estimate(
                self.x.double(), self.labels
            )
            unsettled = [name for name, phase in estimate.phases.items() if not bool(phase.converged.all())]
            if unsettled:
                print(f"{kind}: phases {unsettled} did not converge", flush=True)
            self._converged[kind] = _flat(estimate.gradients, self.network)
        return self._converged[kind]

    def exact(self, free: State) -> Tensor:
        """The gradient by implicit differentiation at this free state."""
        ours = Ours(self.double)
        problem = Problem.free(self.double, ours.energy, self.x.double())
        target = ours.cost.encode(self.labels, 10, ours.energy, torch.float64)
        units = State({name: value.double() for name, value in free.units.items()})
        return _flat(exact_gradient(problem, units, ours.cost, target).gradients, self.network)


def _flat(gradients: Any, network: Network) -> Tensor:
    return torch.cat([gradients[name].double().flatten() for name in network.parameter_names()])


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.cosine_similarity(one, other, dim=0))


def _work(estimate: GradientEstimate, option: dict[str, Any]) -> float:
    """Iterations of a sample, free and both nudged, each look at the residual counted as one."""
    total = 0.0
    for phase in estimate.phases.values():
        steps = phase.steps.double()
        looks = (steps / option["check_every"]).ceil() if option["tol"] else torch.zeros_like(steps)
        total += float((steps + looks).mean())
    return total


def race(theirs: Reference, ours: Ours, x: Tensor, labels: Tensor, repeats: int) -> dict[str, float]:
    """A whole training step of both at a learning rate of nothing."""

    def reference_step() -> None:
        theirs.load(x, labels, torch.float32)
        theirs.step()

    return compare(reference_step, lambda: ours.step(x, labels), repeats, 1)
