"""MLP against the public reference code of EBL: same states, same parameters, then the speed at equal iterations.

    python benchmarks/ebl_mlp.py PATH_TO_REFERENCE [--json FILE]

Parity: float64, iterated nudge, same order, same starts: states after the free phase, parameters after 30 C-EP steps.
Speed: float32, two threads, 15 free and 15 + 15 nudged iterations, no tolerance stop; CPU time and wall time of
interleaved repeats in one process, medians and ratios, with the machine's load beside them.
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
from ebl_reference import Reference
from parts import make

from eb_core import Network, Problem, TrainerSettings, make_network
from eb_core.learning.simulator import Simulator
from eb_core.training.optimiser import apply_gradients, make_optimiser

BETA, STEPS, LR = 0.2, 15, 0.05


class Ours:
    """The same training step with our parts, as the trainer takes it."""

    def __init__(self, network: Network, nudge: str, lr: float, *, steps: int = STEPS, **options: Any) -> None:
        self.network, self.energy = network, make("energy", "hopfield")
        self.cost, self.rule = make("cost", "squared-error"), make("rule", "c-ep", beta=BETA)
        settling = {"steps": steps, "nudged_steps": steps, "tol": 0.0, "nudge": nudge, **options}
        self.relaxer = make("relaxer", "hopfield", **settling)
        weight = next(network.parameters())
        self.session = Simulator().open(network, self.energy, self.relaxer, device=weight.device, dtype=weight.dtype)
        self.optimiser = make_optimiser(network, TrainerSettings(optimizer="sgd", lr=lr))

    def settle(self, x: torch.Tensor) -> Any:
        return self.session.settle(Problem.free(self.network, self.energy, x))

    def step(self, x: torch.Tensor, labels: torch.Tensor) -> None:
        target = self.cost.encode(labels, 10, self.energy, x.dtype)
        estimate = self.rule.estimate(self.session, x, target, self.cost)
        apply_gradients(self.network, self.optimiser, estimate.gradients)


def build(sizes: list[int], dtype: torch.dtype) -> Network:
    """An MLP with the reference's first weights, U(+-0.7 / sqrt(fan-in))."""
    model, energy = make("model", "mlp", hidden=tuple(sizes[1:-1])), make("energy", "hopfield")
    return make_network(model, energy, (sizes[0],), sizes[-1], generator=torch.Generator().manual_seed(0), dtype=dtype)


def batch_of(size: int, inputs: int, dtype: torch.dtype, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs in [0, 1] as sparse as MNIST's, and labels."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(size, inputs, generator=generator, dtype=torch.float64)
    return (x * (x > 0.8)).to(dtype), torch.randint(0, 10, (size,), generator=generator)


def parity(path: Path, sizes: list[int], steps: int = 30) -> dict[str, float]:
    """Largest differences in float64: states after the free phase, parameters after `steps` C-EP steps."""
    network = build(sizes, torch.float64)
    reference = Reference(path, network, BETA, STEPS, STEPS, LR)
    ours = Ours(network, "iterated", LR)
    x, labels = batch_of(16, sizes[0], torch.float64, 0)
    reference.load(x, labels, torch.float64)
    reference.settle()
    states = ours.settle(x).state
    layers = zip(states.units.values(), reference.states(), strict=True)
    free = max(float((mine - theirs).abs().max()) for mine, theirs in layers)
    for index in range(steps):
        x, labels = batch_of(16, sizes[0], torch.float64, index)
        reference.load(x, labels, torch.float64)
        reference.step()
        ours.step(x, labels)
    mine = dict(network.named_parameters())
    values = reference.values()
    return {
        "free states": free,
        f"parameters after {steps} steps": max(
            float((mine[name] - values[name]).detach().abs().max()) for name in values
        ),
    }


def compare(first: Callable[[], object], second: Callable[[], object], repeats: int, inner: int) -> dict[str, float]:
    """Medians of interleaved repeats; ratios are first / second, pair by pair."""
    wall: list[tuple[float, float]] = []
    cpu: list[tuple[float, float]] = []
    for index in range(repeats + 2):
        times = []
        for call in (first, second) if index % 2 else (second, first):
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            for _ in range(inner):
                call()
            times.append((time.perf_counter() - wall_start, time.process_time() - cpu_start))
        if index < 2:
            continue  # warm-up
        one, two = times if index % 2 else times[::-1]
        wall.append((one[0] / inner, two[0] / inner))
        cpu.append((one[1] / inner, two[1] / inner))
    return {
        "reference_ms": 1e3 * statistics.median(a for a, _ in wall),
        "ours_ms": 1e3 * statistics.median(b for _, b in wall),
        "wall_ratio": statistics.median(a / b for a, b in wall),
        "cpu_ratio": statistics.median(a / b for a, b in cpu),
    }


def speed(path: Path, sizes: list[int], size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Free phase and whole C-EP step, float32, equal iterations."""
    x, labels = batch_of(size, sizes[0], torch.float32, 0)
    found = {}
    for nudge in ("closed", "iterated"):
        network = build(sizes, torch.float32)
        reference = Reference(path, network, BETA, STEPS, STEPS, LR)
        ours = Ours(network, nudge, LR)

        def reference_step(reference: Reference = reference) -> None:
            reference.load(x, labels, torch.float32)
            reference.step()

        def reference_free(reference: Reference = reference) -> None:
            reference.load(x, labels, torch.float32)
            reference.settle()

        if nudge == "closed":
            found["free phase"] = compare(reference_free, lambda ours=ours: ours.settle(x), repeats, 5)
        found[f"C-EP step, {nudge} nudge"] = compare(reference_step, lambda ours=ours: ours.step(x, labels), repeats, 5)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, help="a checkout of the reference code")
    parser.add_argument("--sizes", type=int, nargs="+", default=[784, 512, 10])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    report: dict[str, Any] = {"sizes": arguments.sizes, "threads": arguments.threads, "load": os.getloadavg()}
    report["parity, float64"] = parity(arguments.reference, arguments.sizes)
    for size in (16, 128):
        report[f"speed, float32, batch {size}"] = speed(arguments.reference, arguments.sizes, size, arguments.repeats)
    report["load_after"] = os.getloadavg()
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
