"""Oscillators against the public reference code of OIM-EP: same states, then the speed of a step and of a gradient.

    python benchmarks/oim_mlp.py PATH_TO_REFERENCE [--nets 120:20 500:128] [--whole] [--json FILE]

States: 100 Euler steps from rest in float32, both against the same steps in float64, on a net after `--train` batches.
Speed: float32, two threads, the same weights, batch and step: interleaved repeats in one process, medians, ratios, with
the machine's load beside them. Gradient of one batch: the reference's T + 2 K Euler steps and its contrast, against our
relaxer's, at the cosine of each to the exact gradient at its own free state (implicit differentiation in float64).
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from oim_reference import Reference
from parts import make
from torch import Tensor

from eb_core import Network, Problem, Relaxer, State, TrainerSettings, make_network
from eb_core.learning.oracle import exact_gradient
from eb_core.learning.simulator import Simulator
from eb_core.training.optimiser import apply_gradients, make_optimiser

EPS = 0.5


ENERGY, COST = make("energy", "oim"), make("cost", "squared-error")


def estimate(network: Network, relaxer: Relaxer, x: Tensor, target: Tensor, beta: float) -> Any:
    session = Simulator().open(network, ENERGY, relaxer, device=x.device, dtype=x.dtype)
    return make("rule", "c-ep", beta=beta).estimate(session, x, target, COST)


def build(hidden: int, dtype: torch.dtype) -> Network:
    generator = torch.Generator().manual_seed(0)
    return make_network(make("model", "mlp", hidden=(hidden,)), ENERGY, (784,), 10, generator=generator, dtype=dtype)


def trained(hidden: int, size: int, batches: int, data: Any) -> Network:
    """A net after so many batches of Adam on MNIST."""
    network = build(hidden, torch.float32)
    optimiser = make_optimiser(network, TrainerSettings(optimizer="adam", lr=1e-3))
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    for index in range(batches):
        x, labels = batch_of(data, order[index * size : (index + 1) * size])
        target = COST.encode(labels, 10, ENERGY, x.dtype)
        found = estimate(network, make("relaxer", "oim-newton"), x, target, 0.1)
        apply_gradients(network, optimiser, found.gradients)
    return network


def batch_of(data: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
    part = data.train.take(rows)
    return part.x.flatten(1).float(), part.y


def doubled(network: Network, hidden: int) -> Network:
    twin = build(hidden, torch.float64)
    twin.load_state_dict({name: value.double() for name, value in network.state_dict().items()})
    return twin


def states(path: Path, network: Network, hidden: int, x: Tensor, labels: Tensor) -> dict[str, float]:
    """Largest differences of phases after 100 steps."""
    flow = make("relaxer", "oim", steps=100, tol=0.0, eps=EPS)
    reference = Reference(path, network, EPS, 0.05)
    theirs = reference.run(x, labels, reference.rest(len(x)), 100)
    ours = list(flow.relax(Problem.free(network, ENERGY, x)).state.units.values())
    exact = list(flow.relax(Problem.free(doubled(network, hidden), ENERGY, x.double())).state.units.values())

    def apart(first: list[Tensor], second: list[Tensor]) -> float:
        return max(float((one - other).abs().max()) for one, other in zip(first, second, strict=True))

    return {
        "ours - reference": apart(ours, theirs),
        "ours - float64": apart(ours, exact),
        "reference - float64": apart(theirs, exact),
    }


def clock(first: Callable[[], object], second: Callable[[], object], repeats: int) -> dict[str, float]:
    """Medians of interleaved repeats in ms; the ratio is first / second, pair by pair."""
    pairs: list[tuple[float, float]] = []
    for index in range(repeats + 1):
        times = []
        for call in (first, second):
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
        if index:
            pairs.append((times[0], times[1]))
    return {
        "reference_ms": statistics.median(a for a, _ in pairs),
        "ours_ms": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }


def step_speed(path: Path, network: Network, x: Tensor, labels: Tensor, repeats: int) -> dict[str, float]:
    """One Euler step of the free phase, from runs of 10 of theirs and 100 of ours."""
    reference = Reference(path, network, EPS, 0.05)
    flow, problem = make("relaxer", "oim", steps=100, tol=0.0, eps=EPS), Problem.free(network, ENERGY, x)
    found = clock(lambda: reference.run(x, labels, reference.rest(len(x)), 10), lambda: flow.relax(problem), repeats)
    return {
        "reference_us": 100 * found["reference_ms"],
        "ours_us": 10 * found["ours_ms"],
        "ratio": 10 * found["ratio"],
    }


def cosine(network: Network, hidden: int, free: State, found: Any, x: Tensor, target: Tensor) -> float:
    """Cosine of a gradient to the exact one at the minimum that its free state belongs to."""
    problem = Problem.free(doubled(network, hidden), ENERGY, x.double())
    polish = make("relaxer", "oim-newton", tol=1e-11, steps=100)
    state = polish.relax(problem, free.map(Tensor.double)).state
    exact = exact_gradient(problem, state, COST, target.double()).gradients
    true = torch.cat([exact[name].flatten() for name in exact])
    got = torch.cat([found[name].flatten().double() for name in exact])
    return float(torch.cosine_similarity(got, true, dim=0))


def gradient_speed(
    path: Path, network: Network, hidden: int, x: Tensor, labels: Tensor, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Whole gradient of one batch; the reference is run once, or its steps are counted where `--whole` is not given."""
    beta, free_steps, nudged_steps = arguments.beta, arguments.T, arguments.K
    target = COST.encode(labels, 10, ENERGY, x.dtype)
    reference = Reference(path, network, EPS, beta)
    relaxer = make("relaxer", "oim-newton", tol=arguments.tol, nudged_tol=arguments.nudged_tol, nudged_steps=60)
    ours = estimate(network, relaxer, x, target, beta)
    found: dict[str, Any] = {
        "ours, cosine": cosine(network, hidden, ours.phases["free"].state, ours.gradients, x, target),
        "beta": beta,
        "ours, steps": [float(phase.steps.double().mean()) for phase in ours.phases.values()],
    }
    short = free_steps // arguments.share, nudged_steps // arguments.share

    def theirs() -> None:
        reference.gradient(x, labels, *short)

    found["speed"] = clock(theirs, lambda: estimate(network, relaxer, x, target, beta), arguments.gradient_repeats)
    found["speed"]["reference_ms"] *= arguments.share
    found["speed"]["ratio"] *= arguments.share
    found["reference steps timed"] = short
    if arguments.whole:
        gradient = reference.gradient(x, labels, free_steps, nudged_steps)
        names = [layer.name for layer in network.unit_layers]
        free = State(dict(zip(names, reference.free, strict=True)))
        found["reference, cosine"] = cosine(network, hidden, free, gradient, x, target)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, help="a checkout of the reference code")
    parser.add_argument("--nets", nargs="+", default=["120:20", "500:128"], help="hidden units : batch")
    parser.add_argument("--train", type=int, default=300, help="batches of training before anything is compared")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--gradient-repeats", type=int, default=3)
    parser.add_argument("--share", type=int, default=20, help="the reference runs T / share + 2 K / share steps")
    parser.add_argument("--whole", action="store_true", help="run its whole gradient once too, for its cosine")
    parser.add_argument("--T", type=int, default=3500)
    parser.add_argument("--K", type=int, default=350)
    parser.add_argument("--beta", type=float, default=0.005, help="of both gradients")
    parser.add_argument("--tol", type=float, default=1e-4)
    parser.add_argument("--nudged-tol", type=float, default=2e-6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=50000, help="first training image of the batch")
    parser.add_argument("--save", type=Path, help="folder where trained nets are kept between runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    report: dict[str, Any] = {"threads": arguments.threads, "load": os.getloadavg()}
    data = make("dataset", "mnist").load(None)
    for net in arguments.nets:
        hidden, size = map(int, net.split(":"))
        kept = arguments.save / f"{hidden}.pt" if arguments.save else None
        if kept and kept.exists():
            network = build(hidden, torch.float32)
            network.load_state_dict(torch.load(kept))
        else:
            network = trained(hidden, size, arguments.train, data)
            if kept:
                torch.save(network.state_dict(), kept)
        x, labels = batch_of(data, torch.arange(arguments.rows, arguments.rows + size))
        report[f"784-{hidden}-10, batch {size}"] = {
            "states after 100 steps": states(arguments.reference, network, hidden, x, labels),
            "one step": step_speed(arguments.reference, network, x, labels, arguments.repeats),
            "gradient": gradient_speed(arguments.reference, network, hidden, x, labels, arguments),
        }
        print(json.dumps(report, indent=2), flush=True)
    report["load_after"] = os.getloadavg()
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
