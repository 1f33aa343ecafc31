"""Does Anderson acceleration settle a trained DCHN faster than block updates and cSB do?

    python benchmarks/dchn_anderson.py [--width 32] [--net FILE] [--data-dir DIR] [--judged 16] [--json FILE]

One sweep of a dynamics is a map s -> G(s). Anderson's type II method goes to G(s) - sum_k gamma_k (difference of
consecutive G), gamma the least squares solution for the residuals G(s) - s, for each sample by itself. Safeguarded:
projected onto the box, and a plain sweep where the residual has grown by a fifth. Printed is max |G(s) - s|, median and
largest over the images, float64, free phase.

Reference: H. Walker, P. Ni, SIAM J. Numer. Anal. 49, 1715 (2011).
"""

import argparse
import itertools
import json
import math
from pathlib import Path
from typing import Any

import torch
from ebl_dchn_nets import add_options, trained
from parts import make
from torch import Tensor

from eb_core import Problem, State

AT = (5, 10, 15, 20, 30, 40, 60)
TRIED: dict[str, tuple[str, dict[str, Any], int]] = {
    "hopfield": ("hopfield", {}, 0),
    "hopfield, Anderson 3": ("hopfield", {}, 3),
    "hopfield, Anderson 5": ("hopfield", {}, 5),
    "csb, dt^2 = 1.3": ("csb", {"dt": math.sqrt(1.3)}, 0),
    "csb, dt^2 = 1.3, Anderson 3": ("csb", {"dt": math.sqrt(1.3)}, 3),
}
GROWN = 1.2


class Flat:
    """States as vectors (B, units) and back."""

    def __init__(self, state: State) -> None:
        self._shapes = {name: value.shape[1:] for name, value in state.units.items()}

    def vector(self, state: State) -> Tensor:
        return torch.cat([value.flatten(1) for value in state.units.values()], 1)

    def state(self, vector: Tensor) -> State:
        parts = vector.split([shape.numel() for shape in self._shapes.values()], 1)
        pairs = zip(self._shapes.items(), parts, strict=True)
        return State({name: part.reshape(-1, *shape) for (name, shape), part in pairs})


def extrapolated(images: list[Tensor], residuals: list[Tensor], hidden: int) -> Tensor:
    """Anderson's next state; a plain sweep where the residual has grown."""
    dg, df = (torch.stack([b - a for a, b in itertools.pairwise(one)], 2) for one in (images, residuals))
    normal = df.transpose(1, 2) @ df
    ridge = 1e-8 * normal.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-30)
    normal = normal + ridge[:, None, None] * torch.eye(normal.shape[1], dtype=normal.dtype)
    gamma = torch.linalg.solve(normal, df.transpose(1, 2) @ residuals[-1].unsqueeze(2))
    found = images[-1] - (dg @ gamma).squeeze(2)
    found[:, :hidden] = found[:, :hidden].clamp(0, 1)
    grown = residuals[-1].norm(dim=1) > GROWN * residuals[-2].norm(dim=1)
    return torch.where(grown[:, None], images[-1], found)


@torch.no_grad()
def residuals_of(problem: Problem, name: str, options: dict[str, Any], depth: int) -> Tensor:
    """max |G(s) - s|, (iterations, B)."""
    sweep = make("relaxer", name, **options, steps=1, tol=0.0)
    now = State(sweep.relax(problem).state.units)
    flat = Flat(now)
    outputs = now[problem.network.output].shape[1]
    vector, images, residuals, found = flat.vector(now), [], [], []
    for _ in range(max(AT)):
        image = flat.vector(sweep.relax(problem, flat.state(vector)).state)
        images, residuals = [*images[-depth:], image], [*residuals[-depth:], image - vector]
        found.append(residuals[-1].abs().amax(1))
        more = depth and len(images) > 1
        vector = extrapolated(images, residuals, vector.shape[1] - outputs) if more else image
    return torch.stack(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--judged", type=int, default=16, help="images")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    network, (x, _), _ = trained(arguments)
    problem = Problem.free(network.double(), make("energy", "hopfield"), x[: arguments.judged].double())
    report: dict[str, Any] = {}
    for label, (name, options, depth) in TRIED.items():
        found = residuals_of(problem, name, options, depth)
        report[label] = {str(at): [float(found[at - 1].median()), float(found[at - 1].max())] for at in AT}
        print(label, *(f"{at}: {a:.1e}, {b:.1e}" for at, (a, b) in report[label].items()), sep="  ", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
