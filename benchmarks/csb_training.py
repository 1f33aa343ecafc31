"""cSB in training on 6,000 MNIST images: accuracy against the iteration budget, noise against beta, energies by epoch.

    python benchmarks/csb_training.py budget [--seeds 0 1 2] [--depth "1 hidden"] [--plot FILE]     Fig. 4 in small
    python benchmarks/csb_training.py noise  [--seeds 0 1 2] [--plot FILE]                          Fig. 3 in small
    python benchmarks/csb_training.py energy [--seeds 0] [--plot FILE]                              Fig. 2 in small

784-120-10 (or 4 hidden layers of 120), C-EP, batch 128, 10,000 test images; figure numbers are those of the paper,
arXiv 2606.09112. Adam 2e-3 for one hidden layer, 1e-3 for four, cosine schedule, the last epoch counts.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import torch
from csb_nets import BETA, HIDDEN, part_of_mnist

import eb_core as eb

BUDGETS = (5, 10, 20, 40)
DYNAMICS: dict[str, dict[str, Any]] = {
    "csb sequential": {"name": "csb"},
    "csb parallel": {"name": "csb", "update": "parallel"},
    "csb paper": {"name": "csb", "update": "parallel", "dt": 1.0, "gamma": 0.7, "nudge": "iterated"},
    "hopfield": {"name": "hopfield"},
    "hopfield-sync": {"name": "hopfield-sync"},
    "gradient-flow": {"name": "gradient-flow", "dt": 0.5},
}
NOISES, BETAS = (0.0, 0.1, 0.2, 0.3, 0.5), (0.05, 0.2, 0.5)


def train(data: eb.Data, relaxer: dict[str, Any], depth: str, beta: float, seed: int, epochs: int) -> Any:
    """One training; a budget of T iterations is T free and 3 T / 4 nudged ones, as 20 and 15 are."""
    return eb.train(
        {"name": "mlp", "hidden": HIDDEN[depth]},
        data=data,
        relaxer={"tol": 0.0, **relaxer},
        rule={"name": "c-ep", "beta": beta},
        epochs=epochs,
        batch_size=128,
        lr=0.002 if depth == "1 hidden" else 0.001,
        schedule="cosine",
        validation=0.0,
        seed=seed,
        threads=1,
    )


def budget(data: eb.Data, seeds: list[int], depth: str, epochs: int) -> dict[str, list[list[float]]]:
    """Test error of every dynamics, budget and seed."""
    results: dict[str, list[list[float]]] = {}
    print(f"{depth}: test error in % by free iterations, {epochs} epochs, seeds {seeds}: mean (each)")
    for name, relaxer in DYNAMICS.items():
        rows = []
        for steps in BUDGETS:
            given = {**relaxer, "steps": steps, "nudged_steps": max(1, 3 * steps // 4)}
            rows.append([100 - 100 * train(data, given, depth, BETA, seed, epochs).test.accuracy for seed in seeds])
        results[name] = rows
        print(f"  {name:16}" + "".join(f"  {statistics.mean(row):5.1f} {_each(row)}" for row in rows), flush=True)
    return results


def noise(data: eb.Data, seeds: list[int], epochs: int) -> dict[str, list[list[float]]]:
    """Test error under field noise in all phases, by beta; averages of one and of eight states."""
    results: dict[str, list[list[float]]] = {}
    print(
        f"test error in % by noise q = {NOISES}, {epochs} epochs, seeds {seeds}, dt 0.5, gamma 1, 20 and 15 iterations"
    )
    for beta in BETAS:
        for average in (1, 8):
            pace = {"update": "parallel", "dt": 0.5, "gamma": 1.0, "steps": 20, "nudged_steps": 15, "average": average}
            rows = []
            for q in NOISES:
                given = {"name": "csb", "noise": q, **pace}
                rows.append(
                    [100 - 100 * train(data, given, "1 hidden", beta, seed, epochs).test.accuracy for seed in seeds]
                )
            results[f"beta {beta}, average {average}"] = rows
            cells = "".join(f"  {statistics.mean(row):5.1f} {_each(row)}" for row in rows)
            print(f"  beta {beta:4}, mean of {average}:{cells}", flush=True)
    return results


def energy(data: eb.Data, seed: int, epochs: int) -> dict[str, list[torch.Tensor]]:
    """Free energies of 1,000 test images after 1, 2, … epochs, each dynamics training and settling its own net."""
    results = {}
    x = data.test.x[:1000].float()
    for name in ("csb paper", "gradient-flow", "hopfield"):
        given = {**DYNAMICS[name], "steps": 20, "nudged_steps": 15}
        kept, errors = [], []
        for count in range(1, epochs + 1):
            result = train(data, given, "1 hidden", BETA, seed, count)
            kept.append(result.net.settle(x).energy.double())
            errors.append(100 - 100 * result.test.accuracy)
        results[name] = kept
        cells = "".join(f"  {one.mean():6.2f} +- {one.std():4.2f}" for one in kept)
        print(f"  {name:16} E after each training{cells}   error {errors[-1]:.1f} %", flush=True)
    return results


def _each(values: list[float]) -> str:
    return "(" + " ".join(f"{value:.1f}" for value in values) + ")"


def plot_lines(results: dict[str, list[list[float]]], places: tuple[float, ...], label: str, file: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(5.5, 3.8))
    for index, (name, rows) in enumerate(results.items()):
        means = [statistics.mean(row) for row in rows]
        low, high = ([f(row) for row in rows] for f in (min, max))
        style = "--" if "average 8" in name else "-"
        axis.plot(places, means, style, marker="o", markersize=3, color=f"C{index}", label=name)
        axis.fill_between(places, low, high, alpha=0.12, color=f"C{index}")
    axis.set(xlabel=label, ylabel="test error in %", yscale="log")
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file)


def plot_histograms(results: dict[str, list[torch.Tensor]], file: Path) -> None:
    from matplotlib import pyplot as plt

    epochs = len(next(iter(results.values())))
    figure, axes = plt.subplots(1, epochs, figsize=(2.4 * epochs, 2.8), sharex=True, sharey=True)
    for count, axis in enumerate(axes):
        for index, (name, kept) in enumerate(results.items()):
            axis.hist(kept[count].numpy(), bins=40, histtype="step", color=f"C{index}", label=name)
        axis.set_title(f"{count + 1} epochs", fontsize=9)
    axes[0].legend(fontsize=7)
    axes[0].set(xlabel="E of the free state", ylabel="test images")
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("budget", "noise", "energy"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--depth", choices=tuple(HIDDEN), default="1 hidden")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    data = part_of_mnist()
    if arguments.plot:
        import matplotlib as mpl

        mpl.use("Agg")
    if arguments.what == "budget":
        lines = budget(data, arguments.seeds, arguments.depth, arguments.epochs)
        if arguments.plot:
            plot_lines(lines, BUDGETS, "free iterations", arguments.plot)
    elif arguments.what == "noise":
        lines = noise(data, arguments.seeds, arguments.epochs)
        if arguments.plot:
            plot_lines(lines, NOISES, "noise q on every field", arguments.plot)
    else:
        print(f"free energies of 1,000 test images, 784-120-10, 20 and 15 iterations, seed {arguments.seeds[0]}")
        histograms = energy(data, arguments.seeds[0], arguments.epochs)
        if arguments.plot:
            plot_histograms(histograms, arguments.plot)


if __name__ == "__main__":
    main()
