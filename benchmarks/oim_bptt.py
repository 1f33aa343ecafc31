"""EP against truncated BPTT on oscillators: the estimate along the nudged phase and along the free phase (Fig. 1).

    python benchmarks/oim_bptt.py [--plot FILE] [--as-it-is]

EP(k): centred estimate of the gradient after k nudged Euler steps. BPTT(k): gradient of the cost at the end of the
free phase, taken through its last k steps only. At a fixed point, and as beta -> 0, they are equal for every k.
784-120-10, first weights, 20 images of MNIST/100, float64. After T Euler steps some samples are still leaving the
ridge on which all phases start, or wait at a saddle. Newton's steps settle them all, and those are left out that then
have a direction of no positive curvature, unless --as-it-is says to take all as the Euler steps leave them.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from parts import make
from torch import Tensor

from eb_core import Network, Problem, Relaxer, State, contrast, exact_gradient, make_network

ENERGY, COST = make("energy", "oim"), make("cost", "squared-error")


def backwards(problem: Problem, way: list[State], target: Tensor, flow: Relaxer) -> list[dict[str, Tensor]]:
    """Gradients through the last 1, 2, 3 … steps of the way, by one reverse pass."""
    network = problem.network
    names = network.parameter_names()
    parameters = [network.get_parameter(name) for name in names]
    last = {name: value.detach().requires_grad_() for name, value in way[-1].units.items()}
    cost = COST.value(problem.readout(State(last)), target).mean()
    adjoint = torch.autograd.grad(cost, list(last.values()), materialize_grads=True)
    total = {name: torch.zeros_like(parameter) for name, parameter in zip(names, parameters, strict=True)}
    found = []
    for state in reversed(way[:-1]):
        units = {name: value.detach().requires_grad_() for name, value in state.units.items()}
        after = flow.iterate(Problem.free(network, ENERGY, problem.x), State(units), 1)
        work = sum((new * back).sum() for new, back in zip(after.units.values(), adjoint, strict=True))
        slopes = torch.autograd.grad(work, [*units.values(), *parameters])
        adjoint, rest = slopes[: len(units)], slopes[len(units) :]
        total = {name: total[name] + slope for name, slope in zip(names, rest, strict=True)}
        found.append(total)
    return found


@torch.no_grad()
def trail(problem: Problem, state: State, flow: Relaxer, steps: int) -> list[State]:
    """The state and those after 1, 2 … steps."""
    way = [state]
    for _ in range(steps):
        way.append(flow.iterate(problem, way[-1], 1))
    return way


def flat(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradients[name].flatten() for name in sorted(gradients)])


def network_and_batch() -> tuple[Network, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    network = make_network(
        make("model", "mlp", hidden=(120,)), ENERGY, (784,), 10, generator=generator, dtype=torch.float64
    )
    split = make("dataset", "mnist-100").load(None).train
    rows = torch.randperm(len(split), generator=generator)[:20]
    return network, split.x[rows].flatten(1).double(), COST.encode(split.y[rows], 10, ENERGY, torch.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--T", type=int, default=3500)
    parser.add_argument("--K", type=int, default=300)
    parser.add_argument("--betas", type=float, nargs="+", default=[0.01, 0.05, 0.1, 0.3])
    parser.add_argument("--as-it-is", action="store_true", help="take all samples as T Euler steps leave them")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    network, x, target = network_and_batch()
    flow = make("relaxer", "oim", eps=0.5, steps=arguments.T - arguments.K, tol=0.0)
    free = Problem.free(network, ENERGY, x)
    early = flow.relax(free)
    start = early.state
    if not arguments.as_it_is:
        start = make("relaxer", "oim-newton", steps=500, tol=1e-11).relax(free, start).state
        rows = (exact_gradient(free, start, COST, target).curvature > 0).nonzero().flatten()
        free, target, start = free.select(rows), target[rows], start.select(rows)
    way = trail(free, start, flow, arguments.K)
    residuals = flow.relax(free, way[-1]).residual
    bptt = [flat(one) for one in backwards(free, way, target, flow)]
    report: dict[str, Any] = {
        "samples": free.batch,
        "with a residual above 1e-3 after the Euler steps": int((early.residual > 1e-3).sum()),
        "largest residual of the free state": float(residuals.max()),
        "load": os.getloadavg(),
    }
    places = bptt[-1].abs().argsort(descending=True)[[0, 40, 400, 1200]]
    curves: dict[tuple[str, float], tuple[list[list[float]], list[float]]] = {}
    for beta in arguments.betas:
        plus = trail(free.nudged(COST, target, beta), way[-1], flow, arguments.K)[1:]
        minus = trail(free.nudged(COST, target, -beta), way[-1], flow, arguments.K)[1:]
        pairs = {"centred": zip(plus, minus, strict=True), "one-sided": ((one, way[-1]) for one in plus)}
        for kind, ends in pairs.items():
            width = 2 * beta if kind == "centred" else beta
            few, errors = [], []
            for (up, down), other in zip(ends, bptt, strict=True):
                ep = flat(contrast(free, [(1 / width, up), (-1 / width, down)]))
                few.append(ep[places].tolist())
                errors.append(float((ep - other).norm() / other.norm()))
            report[f"{kind}, beta {beta:g}: relative distance to BPTT after 10, 100, {arguments.K} steps"] = [
                errors[9],
                errors[99],
                errors[-1],
            ]
            curves[kind, beta] = (few, errors)
    print(json.dumps(report, indent=2))
    if arguments.plot:
        draw(arguments.plot, curves, [one[places].tolist() for one in bptt])


def draw(
    path: Path, curves: dict[tuple[str, float], tuple[list[list[float]], list[float]]], bptt: list[list[float]]
) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    steps = range(1, len(bptt) + 1)
    beta = sorted({beta for _, beta in curves})[1]
    for index in range(len(bptt[0])):
        left.plot(steps, [one[index] for one in bptt], f"C{index}", lw=3, alpha=0.4)
        left.plot(steps, [one[index] for one in curves["centred", beta][0]], f"C{index}--", lw=1)
    left.set(xlabel="steps k", ylabel="gradient of one parameter", title=f"BPTT (wide) and EP, beta {beta:g} (dashed)")
    for colour, ((kind, beta), (_, errors)) in enumerate(sorted(curves.items())):
        style = "-" if kind == "centred" else ":"
        right.semilogy(steps, errors, f"C{colour % 4}{style}", label=f"{kind}, beta {beta:g}")
    right.set(xlabel="steps k", title="relative distance of EP(k) to BPTT(k)")
    right.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
