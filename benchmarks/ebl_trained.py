"""What the tolerance stop gains on a trained net, at equal quality of the gradient.

    python benchmarks/ebl_trained.py PATH_TO_REFERENCE [--data-dir DIR] [--json FILE]

Quality is the cosine of a C-EP estimate to the exact gradient (implicit differentiation, float64) at the method's own
free state, over a batch of test images. The net is trained on MNIST first. For fixed iterations (T free, T nudged) the
smallest T whose cosine reaches the bar is searched; for the tolerance stop the loosest tolerance. Then a whole
training step of each is timed against the reference code, at its published 15 / 15 iterations and at the smallest T
that reaches the bar: interleaved repeats, medians of ratios, float32.
"""

import argparse
import copy
import json
import os
from pathlib import Path
from typing import Any

import torch
from ebl_mlp import BETA, LR, Ours, compare
from ebl_reference import Reference

import eb_core as eb
from eb_core import Network, Problem, exact_gradient

BUDGETS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40, 60, 100)
TOLERANCES = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)


def trained(hidden: int, epochs: int, data_dir: Path | None) -> tuple[Network, torch.Tensor, torch.Tensor, float]:
    """A net trained on MNIST, its test images and labels, its test accuracy."""
    registry = eb.Registry.installed()
    images = registry.load("dataset", registry.find("dataset", "mnist"))().load(data_dir)
    assert images.test is not None
    test = (images.test.x.flatten(1), images.test.y)
    data = eb.Data.from_arrays(images.train.x.flatten(1), images.train.y, test=test)
    model = {"name": "mlp", "hidden": [hidden]}
    result = eb.train(model, data=data, relaxer="hopfield", rule="c-ep", epochs=epochs, lr=5e-4, batch_size=64)
    assert result.test is not None
    return result.net.network, *test, result.test.accuracy


def cosine(network: Network, ours: Ours, x: torch.Tensor, labels: torch.Tensor) -> float:
    """Cosine of the estimate to the exact gradient at the estimate's own free state."""
    target = ours.cost.encode(labels, 10, ours.energy, x.dtype)
    estimate = ours.rule.estimate(ours.session, x, target, ours.cost)
    double = copy.deepcopy(network).double()
    state = estimate.phases["free"].state.map(torch.Tensor.double)
    exact = exact_gradient(Problem.free(double, ours.energy, x.double()), state, ours.cost, target.double())
    names = list(exact.gradients)
    got = torch.cat([estimate.gradients[name].double().flatten() for name in names])
    true = torch.cat([exact.gradients[name].flatten() for name in names])
    return float(torch.cosine_similarity(got, true, dim=0))


def search(network: Network, x: torch.Tensor, labels: torch.Tensor, bar: float) -> dict[str, Any]:
    """Cosine of every budget and tolerance, and the cheapest of each kind that reaches the bar."""
    found: dict[str, Any] = {}
    for nudge in ("iterated", "closed"):
        curve = {T: cosine(network, Ours(network, nudge, LR, steps=T), x, labels) for T in BUDGETS}
        found[f"fixed iterations, {nudge} nudge"] = {
            "cosine": curve,
            "chosen": next((T for T, value in curve.items() if value >= bar), None),
        }
    for every in (1, 2, 3):
        curve = {tol: cosine(network, _stopping(network, tol, every), x, labels) for tol in TOLERANCES}
        found[f"tolerance, looked at every {every}"] = {
            "cosine": curve,
            "chosen": next((tol for tol, value in curve.items() if value >= bar), None),
        }
    return found


def _stopping(network: Network, tol: float, every: int) -> Ours:
    return Ours(network, "closed", LR, steps=100, tol=tol, check_every=every)


def race(theirs: Reference, ours: Ours, x: torch.Tensor, labels: torch.Tensor, repeats: int) -> dict[str, float]:
    """A whole training step of both, at learning rate 0: the net stays the one whose gradients were judged."""
    for part in (ours.optimiser, theirs.optimiser):
        for group in part.param_groups:
            group["lr"] = 0.0

    def reference_step() -> None:
        theirs.load(x, labels, torch.float32)
        theirs.step()

    return compare(reference_step, lambda: ours.step(x, labels), repeats, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, help="a checkout of the reference code")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--bar", type=float, default=0.999)
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network, images, answers, accuracy = trained(arguments.hidden, arguments.epochs, arguments.data_dir)
    report: dict[str, Any] = {"test accuracy": accuracy, "load": os.getloadavg()}
    report["quality"] = search(network, images[:512], answers[:512], arguments.bar)
    fixed = report["quality"]["fixed iterations, iterated nudge"]["chosen"]
    looks = {every: report["quality"][f"tolerance, looked at every {every}"]["chosen"] for every in (1, 2, 3)}
    for size in (16, 128):
        x, labels = images[:size], answers[:size]
        for budget in sorted({15, fixed} - {None}):
            for every, tol in looks.items():
                ours = _stopping(copy.deepcopy(network), tol, every)
                theirs = Reference(arguments.reference, copy.deepcopy(network), BETA, budget, budget, LR)
                name = f"batch {size}: tolerance {tol:g} looked at every {every}, reference with {budget} / {budget}"
                report[name] = race(theirs, ours, x, labels, arguments.repeats)
    report["load_after"] = os.getloadavg()
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
