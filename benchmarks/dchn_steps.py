"""What a C-EP step of a DCHN costs against a step of backpropagation at the same shape, and what each gain adds.

    python benchmarks/dchn_steps.py [--width 128] [--net FILE] [--data-dir DIR] [--batch 32] [--budget 15 8]
        [--threads 2] [--json FILE]

cSB at dt = 1.14 in float32 with the library's convolutions and the phases as one doubled batch; with minimal filtering
on the wide edges (`eb_core/network/winograd.py`); with compiled convolutions of what is not zero
(`eb_core/network/sparse.py`); these and the phases one after the other; the library's in bfloat16 but for the last
three iterations of each phase; and in bfloat16 throughout. Trained weights, test images of MNIST, interleaved repeats,
medians; beside each the cosine of its gradient to that of the first way in float64.
"""

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import torch
from ebl_dchn_nets import Ours, add_options, cosine, trained

from eb_core.network import sparse, winograd

BETA, DT, NEVER = 0.2, 1.14, 1 << 30


def ways(network: Any, options: dict[str, Any]) -> dict[str, tuple[Ours, tuple[int, int]]]:
    """Name -> the step, and from which widths on it filters, and lists what is not zero."""

    def csb(stacked: bool, precision: str = "full", polish: int = 3) -> Ours:
        ours = Ours(copy.deepcopy(network), "csb", precision=precision, polish=polish, **options)
        ours.rule = attrs.evolve(ours.rule, stacked=stacked)
        return ours

    return {
        "float32, library, doubled batch": (csb(True), (NEVER, NEVER)),
        "minimal filtering": (csb(True), (winograd.WORTH, NEVER)),
        "sparse convolutions": (csb(True), (NEVER, sparse.FEW)),
        "sparse, one phase after the other": (csb(False), (NEVER, sparse.FEW)),
        "bfloat16, last 3 iterations in full": (csb(False, "bfloat16"), (winograd.WORTH, NEVER)),
        "bfloat16 throughout": (csb(False, "bfloat16", 0), (winograd.WORTH, NEVER)),
        "bp": (Ours(copy.deepcopy(network), "csb", rule="bp"), (NEVER, NEVER)),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a step, ratio to bp, and cosine, of each way."""
    network, images, _ = trained(arguments)
    x, labels = (part[: arguments.batch] for part in images)
    few, budget = slice(0, min(8, arguments.batch)), tuple(arguments.budget)
    options: dict[str, Any] = {"steps": budget[0], "nudged_steps": budget[1], "dt": DT, "tol": 0.0, "beta": BETA}
    wanted = Ours(copy.deepcopy(network).double(), "csb", **options).estimate(x[few].double(), labels[few]).gradients
    times: dict[str, list[float]] = {}
    tried = ways(network, options)
    cosines = {
        name: _with(widths, lambda ours=ours: cosine(ours.estimate(x[few], labels[few]).gradients, wanted))
        for name, (ours, widths) in tried.items()
        if name != "bp"
    }
    for index in range(arguments.repeats + 1):
        for name, (ours, widths) in tried.items():
            begun = time.perf_counter()
            _with(widths, lambda ours=ours: ours.step(x, labels))
            if index:
                times.setdefault(name, []).append(time.perf_counter() - begun)
    middle = {name: 1e3 * statistics.median(found) for name, found in times.items()}
    return {
        name: {"ms": value, "against bp": value / middle["bp"], "cosine": cosines.get(name)}
        for name, value in middle.items()
    }


def _with(widths: tuple[int, int], call: Callable[[], Any]) -> Any:
    before = winograd.WORTH, sparse.FEW
    winograd.WORTH, sparse.FEW = widths
    try:
        return call()
    finally:
        winograd.WORTH, sparse.FEW = before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--budget", type=int, nargs=2, default=(15, 8), help="free and nudged iterations")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    facts = {"width": arguments.width, "batch": arguments.batch, "budget": list(arguments.budget)}
    text = json.dumps({**facts, "load": os.getloadavg(), "ways": measure(arguments)}, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
