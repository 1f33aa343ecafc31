"""Iterations to a small residual: cSB with chosen and with fixed options against the block and synchronous updates.

    python benchmarks/csb_iterations.py [--seeds 0 1 2] [--cache FOLDER] [--plot FILE]

Trained nets and random ones, free phase to a residual of 1e-5 and nudged phases (closed nudge, beta +-0.2) to
0.2 |beta| 1e-5, float64, looked at after every iteration. Printed: mean iterations, in brackets the ratio to
`hopfield` (sequential) or `hopfield-sync` (parallel); a phase that takes more than 400 counts as 400.
"""

import argparse
from pathlib import Path

import torch
from csb_nets import BETA, DATA, HIDDEN, Net, make, trained

import eb_core as eb
from eb_core.settling.coupling import active_units, coupling_norms
from eb_core.testing import random_network

LIMIT = 400
SEQUENTIAL = {
    "hopfield": ("hopfield", {}),
    "csb chosen": ("csb", {}),
    "csb dt^2 1.10": ("csb", {"dt": 1.10**0.5}),
    "csb dt^2 1.20": ("csb", {"dt": 1.20**0.5}),
    "csb dt^2 1.30": ("csb", {"dt": 1.30**0.5}),
    "csb dt^2 1.40": ("csb", {"dt": 1.40**0.5}),
}
PARALLEL = {
    "hopfield-sync": ("hopfield-sync", {}),
    "csb chosen": ("csb", {"update": "parallel"}),
    "csb dt 1 gamma 0.9": ("csb", {"update": "parallel", "dt": 1.0, "gamma": 0.9}),
    "csb dt 1 gamma 0.7": ("csb", {"update": "parallel", "dt": 1.0, "gamma": 0.7}),
    "csb dt 1 gamma 0.5": ("csb", {"update": "parallel", "dt": 1.0, "gamma": 0.5}),
}
PHASES = ("free", f"+{BETA}", f"-{BETA}")
Table = dict[str, list[float]]


def random_net(coupling: float, seed: int) -> Net:
    """A small random chain of that coupling norm, with random inputs."""
    network = random_network(make("energy", "hopfield"), "three hidden layers", seed, coupling)
    x = torch.rand(200, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Net(f"random, sigma {coupling}, seed {seed}", network, x, torch.arange(200) % 3, float("nan"), coupling)


@torch.no_grad()
def iterations(net: Net, kinds: dict[str, tuple[str, dict[str, object]]]) -> Table:
    """Mean iterations of each relaxer in the free and in both nudged phases."""
    energy, cost = make("energy", "hopfield"), make("cost", "squared-error")
    free = eb.Problem.free(net.network, energy, net.x)
    outputs = net.network.layers[net.network.output].size
    target = cost.encode(net.labels, outputs, energy, torch.float64)
    found = {}
    for label, (name, options) in kinds.items():
        relaxer = make("relaxer", name, steps=LIMIT, nudged_steps=LIMIT, tol=1e-5, check_every=1, **options)
        settled = relaxer.relax(free)
        runs = [settled, *(relaxer.relax(free.nudged(cost, target, beta), settled.state) for beta in (BETA, -BETA))]
        found[label] = [float(run.steps.double().mean()) for run in runs]
    return found


@torch.no_grad()
def moving_sigma(net: Net) -> list[float]:
    """10 %, 50 % and 90 % quantile over the samples of the coupling norm of the units off their walls."""
    free = eb.Problem.free(net.network, make("energy", "hopfield"), net.x)
    state = make("relaxer", "hopfield", steps=LIMIT, tol=1e-6).relax(free).state
    norms = coupling_norms(net.network, active_units(free, state), iterations=30)
    quantiles: list[float] = norms.quantile(torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)).tolist()
    return quantiles


def show(title: str, tables: list[Table]) -> Table:
    """Print the mean of some tables, each row relative to the first one, and return it."""
    mean = {label: torch.tensor([table[label] for table in tables]).mean(0).tolist() for label in tables[0]}
    base = next(iter(mean.values()))
    print(f"  {title}")
    for label, row in mean.items():
        cells = "  ".join(f"{value:6.1f} ({value / first:4.2f})" for value, first in zip(row, base, strict=True))
        print(f"    {label:20} {cells}")
    return mean


def plot(results: dict[str, tuple[Table, Table]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, part, kinds in zip(axes, (0, 1), (SEQUENTIAL, PARALLEL), strict=True):
        labels = list(kinds)
        for index, label in enumerate(labels[1:]):
            ratios = [sum(tables[part][label]) / sum(tables[part][labels[0]]) for tables in results.values()]
            places = [place + 0.8 * (index / len(labels[1:]) - 0.4) for place in range(len(ratios))]
            axis.bar(places, ratios, 0.75 / len(labels[1:]), label=label, color=f"C{index}")
        axis.axhline(1, color="black", linewidth=0.8)
        axis.set_xticks(range(len(results)), [name.replace(", ", ",\n") for name in results], fontsize=7)
        axis.set_title(f"{'sequential' if part == 0 else 'parallel'}, relative to {labels[0]}", fontsize=10)
        axis.legend(fontsize=7)
    axes[0].set_ylabel("iterations, free + nudged phases")
    axes[0].set_ylim(0, 2.5)
    figure.tight_layout()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--cache", type=Path, help="folder that keeps the weights of the trained nets")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    groups = {f"random, {sigma}": [random_net(sigma, seed) for seed in arguments.seeds] for sigma in (0.5, 0.8, 0.95)}
    for data in DATA:
        for depth in HIDDEN:
            nets = [trained(data, depth, seed, arguments.cache, arguments.samples) for seed in arguments.seeds]
            groups[f"{data}, {depth}"] = nets
    results = {}
    print(f"columns: {', '.join(PHASES)}")
    for name, nets in groups.items():
        print(name)
        for net in nets:
            low, middle, high = moving_sigma(net)
            print(
                f"  {net.name}: accuracy {net.accuracy:.4f}, coupling norm {net.sigma:.2f}, of the units that move"
                f" {low:.2f} {middle:.2f} {high:.2f} (10, 50, 90 % of samples)"
            )
        parts = [[iterations(net, kinds) for net in nets] for kinds in (SEQUENTIAL, PARALLEL)]
        results[name] = (show("sequential", parts[0]), show("parallel", parts[1]))
    if arguments.plot:
        plot(results, arguments.plot)


if __name__ == "__main__":
    main()
