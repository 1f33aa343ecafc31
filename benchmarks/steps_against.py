"""CPU time of whole C-EP steps against those of another checkout, in worker processes that take turns.

    python benchmarks/steps_against.py --reference CHECKOUT [--rounds N] [--workers N] [--case TEXT] [--json FILE]

One step is: settle the free and both nudged phases, contrast, one SGD update; float32, one thread, random inputs. All
workers run the same steps from the same weights. Where a process happens to lie in memory is worth some percent, so
each checkout has several. Printed are the medians, the ratio of the medians of each round, the ratio of the fastest
tenths, and the largest difference of the free states. CHECKOUT is a clone or worktree of this repository; a compiled
`eb_native` is used where each of them has one.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = {
    f"{label}, batch {batch}": {"batch": batch, **case}
    for batch in (16, 128)
    for label, case in {
        "mlp 784-512-10, hopfield": {"relaxer": ("hopfield", {})},
        "mlp 784-512-10, hopfield, tolerance": {"relaxer": ("hopfield", {"tol": 1e-4, "steps": 30})},
        "mlp 784-512-10, csb": {"relaxer": ("csb", {"dt": 1.14})},
        "mlp 784-512-10, csb, its own pace": {"relaxer": ("csb", {})},
        "mlp 784-512-10, csb with momentum": {"relaxer": ("csb", {"dt": 1.0, "gamma": 0.7})},
        "mlp 784-512-10, gradient-flow": {"relaxer": ("gradient-flow", {})},
        "mlp 784-120-10, oim": {"relaxer": ("oim", {}), "energy": "oim", "hidden": 120},
        "mlp 784-120-10, oim-heavy-ball": {"relaxer": ("oim-heavy-ball", {}), "energy": "oim", "hidden": 120},
        "mlp 784-120-10, oim-newton": {"relaxer": ("oim-newton", {}), "energy": "oim", "hidden": 120},
        "mlp 784-120-10, cim-block": {"relaxer": ("cim-block", {}), "energy": "cim", "hidden": 120},
        "mlp 784-120-10, cim": {"relaxer": ("cim", {}), "energy": "cim", "hidden": 120},
        "mlp 784-120-10, adam": {"relaxer": ("adam", {}), "energy": "cim", "hidden": 120},
    }.items()
}
CASES["dchn4 width 16, hopfield, batch 16"] = {"relaxer": ("hopfield", {}), "model": "dchn4", "batch": 16}
CASES["dchn4 width 16, csb, batch 16"] = {"relaxer": ("csb", {"dt": 1.14}), "model": "dchn4", "batch": 16}


def worker() -> None:
    """Answer each line `CASE` with the seconds of a few steps, and the free state before the first one."""
    import torch

    torch.set_num_threads(1)
    steps: dict[str, Any] = {}
    for line in sys.stdin:
        name, inner = json.loads(line)
        state = None
        if name not in steps:
            steps[name], state = _step(CASES[name])
            steps[name]()
        started = time.process_time()
        for _ in range(inner):
            steps[name]()
        print(json.dumps([(time.process_time() - started) / inner, state]), flush=True)


def _step(case: dict[str, Any]) -> tuple[Any, list[float]]:
    import torch
    from parts import make

    from eb_core import TrainerSettings, make_network
    from eb_core.learning.simulator import Simulator
    from eb_core.settling.problem import Problem
    from eb_core.training.optimiser import apply_gradients, make_optimiser

    name, options = case["relaxer"]
    relaxer = make("relaxer", name, **{"steps": 15, "nudged_steps": 15, "tol": 0.0, **options})
    energy, rule, cost = (
        make("energy", case.get("energy", "hopfield")),
        make("rule", "c-ep"),
        make("cost", "squared-error"),
    )
    deep = case.get("model") == "dchn4"
    model = make("model", "dchn4", width=16) if deep else make("model", "mlp", hidden=(case.get("hidden", 512),))
    shape = (1, 32, 32) if deep else (784,)
    generator = torch.Generator().manual_seed(0)
    network = make_network(model, energy, shape, 10, generator=generator)
    x = torch.rand(case["batch"], *shape, generator=generator)
    target = cost.encode(torch.arange(case["batch"]) % 10, 10, energy, torch.float32)
    optimiser = make_optimiser(network, TrainerSettings(optimizer="sgd", lr=1e-5))
    session = Simulator().open(network, energy, relaxer, device=torch.device("cpu"), dtype=torch.float32)
    free = session.settle(Problem.free(network, energy, x)).state

    def step() -> None:
        apply_gradients(network, optimiser, rule.estimate(session, x, target, cost).gradients)

    return step, torch.cat([value.flatten()[:200] for value in free.units.values()]).tolist()


def _start(checkout: Path) -> "subprocess.Popen[str]":
    sources = sorted(str(path) for path in checkout.glob("packages/*/src"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sources), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def _ask(process: "subprocess.Popen[str]", name: str, inner: int) -> tuple[float, list[float] | None]:
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps([name, inner]) + "\n")
    process.stdin.flush()
    seconds, state = json.loads(process.stdout.readline())
    return seconds, state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reference", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--workers", type=int, default=8, help="of each checkout")
    parser.add_argument("--inner", type=int, default=3, help="steps in each turn")
    parser.add_argument("--case", default="", help="only cases whose name holds this text")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker()
        return
    checkouts = {"here": Path(__file__).parents[1], "reference": arguments.reference}
    workers = [
        (who, _start(checkouts[who]))
        for pair in range(arguments.workers)
        for who in list(checkouts)[:: 1 if pair % 2 else -1]
    ]
    rows = []
    for name in (name for name in CASES if arguments.case in name):
        first = {who: _ask(process, name, 1)[1] for who, process in workers}
        apart = max(abs(a - b) for a, b in zip(first["here"] or [], first["reference"] or [], strict=True))
        seconds: dict[str, list[list[float]]] = {who: [] for who in checkouts}
        for turn in range(arguments.rounds):
            for times in seconds.values():
                times.append([])
            for who, process in workers[:: 1 if turn % 2 else -1]:
                seconds[who][-1].append(_ask(process, name, arguments.inner)[0])
        here, reference = ([statistics.median(times) for times in seconds[who]] for who in checkouts)
        fastest = [statistics.quantiles(itertools.chain(*seconds[who]), n=10)[0] for who in checkouts]
        row = {
            "case": name,
            "here ms": 1e3 * statistics.median(here),
            "reference ms": 1e3 * statistics.median(reference),
            "ratio": statistics.median(a / b for a, b in zip(here, reference, strict=True)),
            "ratio of fastest": fastest[0] / fastest[1],
            "states apart": apart,
        }
        rows.append(row)
        print(
            f"{name:45} {row['here ms']:8.2f} ms {row['reference ms']:8.2f} ms   ratio {row['ratio']:.3f}"
            f"   of fastest {row['ratio of fastest']:.3f}   states apart {apart:.0e}",
            flush=True,
        )
    for _, process in workers:
        process.kill()
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
