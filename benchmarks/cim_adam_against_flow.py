"""Where does Adam beat the amplitude flow? Settling and learning of CIM nets under equal budgets of iterations.

    python benchmarks/cim_adam_against_flow.py --results FOLDER [--plot FILE.svg] [--seeds 0 1 2] [--nets shallow deep]

Nets 784-120-10 (20 free and 15 + 15 nudged iterations) and 784-120-120-120-10 (40 and 30 + 30), each trained from the
same start on the first 6,000 MNIST images by centred EP with every dynamics: amplitude flow at dt 0.05, 0.2 and 0.5,
Adam on the whole force, block updates, and block updates with a quarter of the iterations. Accuracy is that of the
10,000 test images after the last epoch, read out with the same dynamics.

Then, on the net that block updates trained with seed 0: F above its minimum, residual, and the error of the
gradient estimate against that of settled phases, for each dynamics and budget.

Each training writes one file into FOLDER and is not done again while it is there, so several processes can share the
work. Data is looked for as `eb train` does: --data-dir or EB_DATA_DIR.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import attrs
import torch
from cim_settling import CURVES, plot, settling

import eb_core as eb
from eb_core import Data, Registry, TrainedNet, make_network
from eb_core.settling.coupling import coupling_norm

NETS: dict[str, tuple[list[int], int, int]] = {"shallow": ([120], 20, 15), "deep": ([120, 120, 120], 40, 30)}
LEARNING: dict[str, Any] = {"optimizer": "adam", "lr": 2e-3, "schedule": "cosine", "batch_size": 32}
BETA = 0.2


@attrs.frozen
class Arguments:
    """What was asked for on the command line."""

    images: int
    epochs: int
    seeds: list[int]
    nets: list[str]
    results: Path
    plot: Path | None
    data_dir: Path | None


def dynamics(net: str) -> dict[str, dict[str, Any]]:
    """Name in the table -> relaxer, with the budget of that net and no tolerance."""
    _, free, nudged = NETS[net]
    budget = {"steps": free, "nudged_steps": nudged, "tol": 0.0}
    quarter = {"steps": free // 4, "nudged_steps": nudged // 4 + 1, "tol": 0.0}
    flows = {f"flow, dt {dt:g}": {"name": "cim", "dt": dt, **budget} for dt in (0.05, 0.2, 0.5)}
    return {
        **flows,
        "Adam": {"name": "adam", **budget},
        "block": {"name": "cim-block", **budget},
        "block, a quarter": {"name": "cim-block", **quarter},
    }


def images(count: int, data_dir: Path | None) -> Data:
    """The first images of MNIST's training set, and its test set."""
    registry = Registry.installed()
    whole = registry.load("dataset", registry.find("dataset", "mnist"))().load(data_dir)
    train = whole.train.take(torch.arange(count))
    return Data.from_arrays(train.x, train.y, test=(whole.test.x, whole.test.y), name=f"mnist-{count}")


def train(net: str, name: str, seed: int, data: Data, epochs: int) -> tuple[dict[str, Any], TrainedNet]:
    """One training; accuracies in per cent, CPU seconds of an epoch."""
    started = time.process_time()
    result = eb.train(
        {"name": "mlp", "hidden": NETS[net][0]},
        energy="cim",
        relaxer=dynamics(net)[name],
        rule={"name": "c-ep", "beta": BETA},
        data=data,
        epochs=epochs,
        seed=seed,
        validation=0.0,
        select="last",
        threads=1,
        **LEARNING,
    )
    assert result.test is not None
    last = result.reports[-1]
    found = {
        "test": 100 * result.test.accuracy,
        "train": 100 * last.train.accuracy,
        "cpu_seconds_per_epoch": (time.process_time() - started) / epochs,
    }
    return found, result.net


def trainings(arguments: Arguments, data: Data) -> None:
    """All trainings that are not there yet."""
    for seed in arguments.seeds:
        for net in arguments.nets:
            for name in dynamics(net):
                label = f"{net}-{name}-s{seed}".replace(" ", "").replace(",", "-")
                file = arguments.results / f"{label}.json"
                if file.exists():
                    continue
                found, trained = train(net, name, seed, data, arguments.epochs)
                if name == "block" and seed == 0:
                    torch.save(trained.network.state_dict(), arguments.results / f"{net}.pt")
                file.write_text(json.dumps({"net": net, "dynamics": name, "seed": seed, **found}))
                print(label, found, flush=True)


def curves(arguments: Arguments, data: Data) -> None:
    """Settling of the nets that are there, where it has not been measured yet."""
    registry = Registry.installed()
    energy = registry.load("energy", registry.find("energy", "cim"))()
    for net in arguments.nets:
        weights, file = arguments.results / f"{net}.pt", arguments.results / f"{net}-{CURVES}.json"
        if weights.exists() and not file.exists():
            model = registry.load("model", registry.find("model", "mlp"))(hidden=tuple(NETS[net][0]))
            network = make_network(model, energy, data.input_shape, data.classes, generator=torch.Generator())
            network.load_state_dict(torch.load(weights))
            print(net, "trained by block updates: coupling norm", coupling_norm(network))
            file.write_text(json.dumps(settling(network, data, dynamics(net), BETA)))


def table(folder: Path) -> str:
    """Mean and standard deviation over the seeds that are there, as a table."""
    rows = [json.loads(file.read_text()) for file in sorted(folder.glob("*-s[0-9]*.json"))]
    lines = [
        "| dynamics | shallow: test accuracy | CPU s per epoch | deep: test accuracy | CPU s per epoch |",
        "|---|---|---|---|---|",
    ]
    for name in dynamics("shallow"):
        cells = []
        for net in NETS:
            found = [row for row in rows if row["net"] == net and row["dynamics"] == name]
            scores = [row["test"] for row in found]
            spread = statistics.stdev(scores) if len(scores) > 1 else float("nan")
            mean = statistics.fmean(scores) if scores else float("nan")
            cost = statistics.median(row["cpu_seconds_per_epoch"] for row in found) if found else float("nan")
            cells += [f"{mean:.2f} ± {spread:.2f} ({len(scores)})", f"{cost:.1f}"]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="folder of partial results")
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("EB_DATA_DIR"))
    arguments = Arguments(**vars(parser.parse_args()))
    torch.set_num_threads(1)
    arguments.results.mkdir(parents=True, exist_ok=True)
    data = images(arguments.images, arguments.data_dir)
    trainings(arguments, data)
    curves(arguments, data)
    print(table(arguments.results))
    for net in NETS:
        file = arguments.results / f"{net}-{CURVES}.json"
        if file.exists():
            print(f"\n{net}, trained by block updates: iterations, F above its minimum, residual, gradient error")
            for name, points in json.loads(file.read_text()).items():
                for point in points:
                    print(f"  {name:18} {point['steps']:4d} {point['excess']:.2e} {point['residual']:.2e}", end=" ")
                    print(f"{point['gradient']:.2e}")
    if arguments.plot:
        plot(arguments.results, arguments.plot)


if __name__ == "__main__":
    main()
