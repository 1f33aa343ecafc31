"""C-EP training of a DCHN on one device: images a second against the reference code, and how near to its convolutions.

    python benchmarks/gpu.py PATH_TO_REFERENCE [--device cuda] [--width 128] [--batch 128] [--json FILE]

A whole C-EP step (free phase, both nudges, gradient, update) on random images of CIFAR-10's shape and first weights,
at equal iterations, interleaved in one process: the reference with torch's defaults for its device, ours in float32,
with TF32 convolutions, and settling in bfloat16 but for the last iterations of each phase. Beside each, the cosine of
its gradient to ours in float64; and cSB with fewer iterations. The roofline is the time of the bare convolutions of a
step, one forward and one transposed for each edge and iteration, at the same precision; the share is that time over
the time of the step.

Runs on the CPU, too, where it only shows that it works: use --width 4 --batch 4 --budget 4 2 there.
"""

import argparse
import contextlib
import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from ebl_dchn_nets import SIDES, Ours, build, cosine
from ebl_reference import Reference
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from eb_core import Conv, Network

BETA, CHANNELS = 0.25, 3
FEWER = (15, 8)
"""Free and nudged iterations of cSB at its chosen pace; see docs/performance.md for what its gradient is worth."""


@contextlib.contextmanager
def precision(kind: str) -> Iterator[None]:
    """float32 to the letter, or TF32 in convolutions and products; bfloat16 is the business of the simulator."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = kind != "float32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Wall time of a call, the device's queue emptied before and after."""
    _wait(device)
    begun = time.perf_counter()
    call()
    _wait(device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def convolutions(network: Network, batch: int, budget: tuple[int, int]) -> Callable[[], None]:
    """The bare convolutions of a step: budget[0] of the batch and budget[1] of the doubled one."""
    edges = [edge for edge in network.edges.values() if isinstance(edge, Conv) and edge.pre != network.input]
    like = edges[0].weight

    def pairs(size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        found = []
        for edge in edges:
            channels, height, width = edge.pre_shape
            u = torch.rand(size, channels, height, width, device=like.device).to(memory_format=torch.channels_last)
            found.append((edge.weight.detach(), u, F.conv2d(u, edge.weight.detach(), padding=1)))
        return found

    work = [(count, pairs(size)) for count, size in ((budget[0], batch), (budget[1], 2 * batch))]

    @torch.no_grad()
    def run() -> None:
        for count, pieces in work:
            for _ in range(count):
                for weight, u, v in pieces:
                    F.conv2d(u, weight, padding=1)
                    F.conv_transpose2d(v, weight, padding=1)

    return run


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Images a second, ratio to the reference, cosine and share of the roofline of each way."""
    device, budget = torch.device(arguments.device), tuple(arguments.budget)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(arguments.batch, CHANNELS, *SIDES, generator=generator).to(device)
    labels = torch.randint(0, 10, (arguments.batch,), generator=generator).to(device)
    network = build(arguments.width, CHANNELS).to(device)
    few = slice(0, min(8, arguments.batch))
    options: dict[str, Any] = {"beta": BETA, "tol": 0.0}
    same = {"steps": budget[0], "nudged_steps": budget[1], **options}
    wanted = Ours(copy.deepcopy(network).double(), **same).estimate(x[few].double(), labels[few]).gradients
    theirs = Reference(arguments.reference, copy.deepcopy(network), BETA, budget[0], budget[1], 0.0)

    def reference_step() -> None:
        theirs.load(x, labels, torch.float32)
        theirs.step()

    ways: dict[str, tuple[str, Callable[[], object], float | None]] = {
        "reference, its defaults": ("tf32" if device.type == "cuda" else "float32", reference_step, None)
    }
    for kind in ("float32", "tf32", "bfloat16"):
        options["precision"] = "bfloat16" if kind == "bfloat16" else "full"
        for name, ours in (
            (f"hopfield {budget[0]}/{budget[1]}, {kind}", Ours(copy.deepcopy(network), **same | options)),
            (
                f"csb {FEWER[0]}/{FEWER[1]}, {kind}",
                Ours(copy.deepcopy(network), "csb", steps=FEWER[0], nudged_steps=FEWER[1], **options),
            ),
        ):
            with precision(kind):
                quality = cosine(ours.estimate(x[few], labels[few]).gradients, wanted)
            ways[name] = (kind, lambda ours=ours: ours.step(x, labels), quality)  # type: ignore[misc]
    bare = {kind: convolutions(network, arguments.batch, budget) for kind in ("float32", "tf32", "bfloat16")}
    times: dict[str, list[float]] = {name: [] for name in (*ways, *(f"convolutions, {kind}" for kind in bare))}
    for index in range(arguments.repeats + 1):
        for name, (kind, call, _) in ways.items():
            with precision(kind):
                times[name].append(seconds(call, device))
        for kind, run in bare.items():
            with precision(kind), torch.autocast(device.type, torch.bfloat16, enabled=kind == "bfloat16"):
                times[f"convolutions, {kind}"].append(seconds(run, device))
        if not index:
            times = {name: [] for name in times}  # warm-up
    middle = {name: statistics.median(found) for name, found in times.items()}
    base = middle["reference, its defaults"]
    report: dict[str, Any] = {}
    for name, (kind, _, quality) in ways.items():
        report[name] = {
            "images per second": arguments.batch / middle[name],
            "ratio to the reference": base / middle[name],
            "cosine to float64": quality,
        }
        if name.startswith("hopfield"):
            report[name]["share of the convolution roofline"] = middle[f"convolutions, {kind}"] / middle[name]
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, help="a checkout of the reference code")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--budget", type=int, nargs=2, default=(60, 20), help="free and nudged iterations")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    name = torch.cuda.get_device_name(arguments.device) if arguments.device.startswith("cuda") else "CPU"
    facts = {"device": name, "torch": torch.__version__, "width": arguments.width, "batch": arguments.batch}
    text = json.dumps({**facts, "budget": list(arguments.budget), "ways": measure(arguments)}, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
