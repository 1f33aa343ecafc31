"""Phase noise against beta (Fig. 5 in small): MNIST/100, 784-120-10, noise in every phase and in tests.

    python benchmarks/oim_noise.py [--plot FILE]

Euler steps with noise eps xi N(0, 1) per step, the paper's convention; fewer steps and epochs than the paper's, Adam.
Test accuracy on the 10,000 images of MNIST, one seed each unless --seeds says otherwise.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from eb_core import train


def accuracy(noise: float, beta: float, seed: int, arguments: argparse.Namespace) -> float:
    result = train(
        {"name": "mlp", "hidden": [120]},
        energy="oim",
        relaxer={
            "name": "oim",
            "steps": arguments.T,
            "nudged_steps": arguments.K,
            "eps": 0.5,
            "tol": 0.0,
            "noise": noise,
        },
        rule={"name": "c-ep", "beta": beta},
        dataset={"name": "mnist-100", "test": "full"},
        batch_size=20,
        optimizer="adam",
        lr=1e-3,
        validation=0.0,
        select="last",
        epochs=arguments.epochs,
        seed=seed,
        threads=1,
    )
    assert result.test is not None
    return result.test.accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noises", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.4])
    parser.add_argument("--betas", type=float, nargs="+", default=[0.05, 0.1, 0.3])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--T", type=int, default=300)
    parser.add_argument("--K", type=int, default=80)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    table = {}
    for beta in arguments.betas:
        for noise in arguments.noises:
            start = time.perf_counter()
            found = [accuracy(noise, beta, seed, arguments) for seed in range(arguments.seeds)]
            table[beta, noise] = float(np.mean(found))
            line = {"beta": beta, "noise": noise, "accuracy": found, "seconds": round(time.perf_counter() - start, 1)}
            print(json.dumps(line), flush=True)
    if arguments.plot:
        draw(arguments.plot, table, arguments)


def draw(path: Path, table: dict[tuple[float, float], float], arguments: argparse.Namespace) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.4))
    for beta in arguments.betas:
        axes.plot(
            arguments.noises, [100 * table[beta, noise] for noise in arguments.noises], "o-", label=f"beta {beta:g}"
        )
    axes.set(xlabel="phase noise xi (rad per unit time)", ylabel="test accuracy, 10,000 images (%)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
