"""Deep convolutional Hopfield net against the public reference code of EBL, on trained weights.

    python benchmarks/ebl_dchn.py PATH_TO_REFERENCE [parity] [speed] [quality] [memory] [--width 128] [--json FILE]

parity   float64, iterated nudge, same order and starts: free and perturbed states, gradients of eight rules; then how
         far the gradients of both in float32 are from float64, and what the closed nudge changes at that budget
speed    float32, equal iterations: free phase and whole C-EP step; medians of interleaved repeats
quality  `ebl_dchn_quality.py`: the cheapest settings whose gradient is as good as the reference's, and their time
memory   largest resident set of a process that takes one C-EP step
"""

import argparse
import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from ebl_dchn_nets import SIDES, Ours, add_options, build, trained
from ebl_dchn_quality import KINDS, quality
from ebl_mlp import compare
from ebl_reference import Reference
from torch import Tensor

from eb_core import Network

PARTS = ("parity", "speed", "quality", "memory")
RULES = ("c-ep", "p-ep", "n-ep", "cl", "c-cpl", "p-cpl", "n-cpl", "tbp")
BETA = 0.25
REMEMBERED = ("hopfield, colour", "csb, dt^2 = 1.3", "csb, chosen")
"""Of which kinds the memory is measured."""


def distance(found: Any, wanted: Any) -> dict[str, float]:
    """|found - wanted| / |wanted| of each parameter."""
    return {
        name: float((found[name].double() - value.double()).norm() / value.double().norm())
        for name, value in wanted.items()
    }


def reference_gradient(theirs: Reference, x: Tensor, labels: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Free states and gradient of the reference code."""
    theirs.load(x, labels, x.dtype)
    theirs.settle()
    free = theirs.states()
    return free, theirs.gradient()


def parity(
    path: Path, network: Network, x: Tensor, labels: Tensor, budget: tuple[int, int], rules: list[str]
) -> dict[str, Any]:
    """Largest differences of states and gradients in float64, for one free budget."""
    steps, nudged_steps = budget
    double = copy.deepcopy(network).double()
    found: dict[str, Any] = {}
    for rule in rules:
        theirs = Reference(path, double, BETA, steps, nudged_steps, 0.1, rule)
        free, wanted = reference_gradient(theirs, x.double(), labels)
        options = {"steps": steps, "nudged_steps": nudged_steps, "tol": 0.0, "nudge": "iterated"}
        ours = Ours(double, rule=rule, beta=BETA, differentiated=nudged_steps, **options).estimate(x.double(), labels)
        found[rule] = {"free states": _furthest(ours.phases["free"].state.units.values(), free)}
        if "plus" in ours.phases:
            found[rule]["states under +beta"] = _furthest(ours.phases["plus"].state.units.values(), theirs.states())
        found[rule]["gradient"] = max(distance(ours.gradients, wanted).values())
    return found


def _furthest(mine: Any, theirs: list[Tensor]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(mine, theirs, strict=True))


def rounding(path: Path, network: Network, x: Tensor, labels: Tensor, budget: tuple[int, int]) -> dict[str, Any]:
    """Relative error of the C-EP gradient of each parameter in float32, and what the closed nudge changes."""
    options: dict[str, Any] = {"steps": budget[0], "nudged_steps": budget[1], "tol": 0.0, "beta": BETA}
    double = copy.deepcopy(network).double()
    exact = Ours(double, nudge="iterated", **options).estimate(x.double(), labels).gradients
    theirs = reference_gradient(Reference(path, network, BETA, *budget, 0.1), x, labels)[1]
    mine = Ours(network, nudge="iterated", **options).estimate(x, labels).gradients
    closed = Ours(double, nudge="closed", **options).estimate(x.double(), labels).gradients
    return {
        "reference, float32": distance(theirs, exact),
        "ours, float32": distance(mine, exact),
        "closed nudge instead of iterated, float64": distance(closed, exact),
    }


def speed(
    path: Path, network: Network, x: Tensor, labels: Tensor, budget: tuple[int, int], repeats: int
) -> dict[str, Any]:
    """Free phase and whole C-EP step at equal iterations, float32."""
    theirs = Reference(path, copy.deepcopy(network), BETA, *budget, 0.0)
    options: dict[str, Any] = {"steps": budget[0], "nudged_steps": budget[1], "tol": 0.0, "beta": BETA}
    ours = {nudge: Ours(copy.deepcopy(network), nudge=nudge, **options) for nudge in ("iterated", "closed")}

    def reference_free() -> None:
        theirs.load(x, labels, torch.float32)
        theirs.settle()

    def reference_step() -> None:
        theirs.load(x, labels, torch.float32)
        theirs.step()

    return {
        f"free phase, {budget[0]}": compare(reference_free, lambda: ours["closed"].settle(x), repeats, 1),
        f"C-EP step, iterated nudge, {budget[0]}/{budget[1]}": compare(
            reference_step, lambda: ours["iterated"].step(x, labels), repeats, 1
        ),
        f"C-EP step, closed nudge, {budget[0]}/{budget[1]}": compare(
            reference_step, lambda: ours["closed"].step(x, labels), repeats, 1
        ),
    }


def memory(path: Path, width: int, batch: int, threads: int) -> dict[str, float]:
    """Peak of the resident set in MB, the reference and three relaxers each in a process of its own."""
    found: dict[str, float] = {}
    for side in ("reference", *REMEMBERED):
        command = [sys.executable, __file__, str(path), "--width", str(width), "--threads", str(threads)]
        command += ["--one-step", side, str(batch)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        found |= {f"{side}, before": float(lines[-2]), side: float(lines[-1])}
    return found


def one_step(path: Path, width: int, side: str, batch: int) -> None:
    """Take one step, on random images and weights, and print the peaks before and after."""
    network = build(width)
    x, labels = torch.rand(batch, 1, *SIDES), torch.randint(0, 10, (batch,))
    before = _peak()
    if side == "reference":
        theirs = Reference(path, network, BETA, 4, 4, 0.1)
        theirs.load(x, labels, torch.float32)
        theirs.step()
    else:
        relaxer, options = KINDS[side]
        Ours(network, relaxer, steps=4, nudged_steps=4, tol=0.0, **options).step(x, labels)
    print(before, _peak())


def _peak() -> float:
    """Largest resident set of this program in MB; `ru_maxrss` would count the parent's, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, help="a checkout of the reference code")
    parser.add_argument("what", nargs="*", help=f"of {', '.join(PARTS)}; all, if none is named")
    add_options(parser)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32], help="batch sizes of speed and memory")
    parser.add_argument("--budget", type=int, nargs=2, default=(60, 20), help="free and nudged iterations of speed")
    parser.add_argument("--judged", type=int, default=8, help="images of parity and quality")
    parser.add_argument("--parity-budget", type=int, nargs=2, default=(60, 15))
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES), help="of parity")
    parser.add_argument("--betas", type=float, nargs="+", default=[0.25, 0.1], help="of quality")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of settings, of quality")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one-step", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.one_step:
        one_step(arguments.reference, arguments.width, arguments.one_step[0], int(arguments.one_step[1]))
        return
    if unknown := set(arguments.what) - set(PARTS):
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    report = _report(arguments, arguments.what or PARTS)
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


def _report(arguments: argparse.Namespace, parts: Any) -> dict[str, Any]:
    path, budget = arguments.reference, tuple(arguments.budget)
    report: dict[str, Any] = {"width": arguments.width, "threads": arguments.threads, "load": os.getloadavg()}
    if "memory" in parts:
        report["peak memory, MB"] = {
            batch: memory(path, arguments.width, batch, arguments.threads) for batch in arguments.batches
        }
    if set(parts) == {"memory"}:
        return report
    network, (x, labels), report["training accuracy"] = trained(arguments)
    few = x[: arguments.judged], labels[: arguments.judged]
    if "parity" in parts:
        free, nudged = arguments.parity_budget
        report[f"parity, float64, {free}/{nudged}"] = parity(path, network, *few, (free, nudged), arguments.rules)
        report[f"C-EP gradient, {free}/{nudged}"] = rounding(path, network, *few, (free, nudged))
    if "speed" in parts:
        for size in arguments.batches:
            batch = x[:size], labels[:size]
            report[f"speed, batch {size}"] = speed(path, network, *batch, budget, arguments.repeats)
    if "quality" in parts:
        for beta in arguments.betas:
            report[f"quality, beta {beta}"] = quality(
                path,
                network,
                (x, labels),
                judged=arguments.judged,
                beta=beta,
                kinds=arguments.kinds,
                batches=arguments.batches,
                repeats=arguments.repeats,
            )
    return report | {"load after": os.getloadavg()}


if __name__ == "__main__":
    main()
