"""Three spins in a box: how momentum coupled to position shortens, or lengthens, the escape from a well.

    python benchmarks/csb_escape.py [--runs 1000] [--plot FILE]

V = 1/2 |x|^2 - 1/2 x'Wx - b sum x + 1/2 |y|^2 - eps x.y in the box [0, 1]^3 of x, W = 1 off the diagonal; Euler steps
of 0.05 on x and y, noise sqrt(2 * 0.06 * dt) N(0, 1) on both. Forward: b = -0.4, from x = 0 until all x > 0.8.
Reversed: b = -0.55, from x = 1 until all x < 0.2: now the well has the larger norm. For fixed x the best y is eps x,
which leaves 1/2 (1 - eps^2) |x|^2: momentum lowers what lies far from the origin.
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

DT, HEAT, MOST = 0.05, 0.06, 40_000
STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def escape_times(b: float, eps: float, start: float, runs: int, generator: torch.Generator) -> Tensor:
    """Iterations until each run has left its well, (runs,); `MOST` where it never did."""
    coupling = torch.ones(3, 3, dtype=torch.float64) - torch.eye(3, dtype=torch.float64)
    x = torch.full((runs, 3), start, dtype=torch.float64)
    y = torch.zeros_like(x)
    times = torch.full((runs,), MOST)
    rows = torch.arange(runs)
    size = math.sqrt(2 * HEAT * DT)
    for step in range(1, MOST + 1):
        noise = size * torch.randn(2, *x.shape, generator=generator, dtype=x.dtype)
        x, y = (
            (x + DT * (x @ coupling + b - x + eps * y) + noise[0]).clamp(0, 1),
            y + DT * (eps * x - y) + noise[1],
        )
        out = (x > 0.8).all(1) if start == 0 else (x < 0.2).all(1)
        times[rows[out]] = step
        x, y, rows = x[~out], y[~out], rows[~out]
        if not len(rows):
            break
    return times


def slope(means: list[float]) -> float:
    """a of mean = exp(c - a eps), least squares on the logarithms."""
    eps = torch.tensor(STRENGTHS)
    logs = torch.tensor(means).log()
    centred = eps - eps.mean()
    return -float((centred * logs).sum() / centred.square().sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for name, b, start in (("forward", -0.4, 0.0), ("reversed", -0.55, 1.0)):
        generator = torch.Generator().manual_seed(arguments.seed)
        times = [escape_times(b, eps, start, arguments.runs, generator).double() for eps in STRENGTHS]
        means = [float(one.mean()) for one in times]
        errors = [float(one.std()) / arguments.runs**0.5 for one in times]
        results[name] = (times, means, errors)
        print(f"{name}: b {b}, {arguments.runs} runs, seed {arguments.seed}")
        for eps, one, mean, error in zip(STRENGTHS, times, means, errors, strict=True):
            tail = float((one > mean).double().mean())
            print(f"  eps {eps:.1f}: {mean:8.1f} +- {error:5.1f}   beyond the mean {tail:.3f} (exponential: 0.368)")
        print(f"  mean ~ exp({-slope(means):+.2f} eps)")
    if arguments.plot:
        plot(results, arguments.plot)


def plot(results: dict[str, tuple[list[Tensor], list[float], list[float]]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    for index, (name, (_, means, errors)) in enumerate(results.items()):
        left.errorbar(STRENGTHS, means, errors, fmt="o", color=f"C{index}", label=name)
        a = slope(means)
        height = sum(math.log(mean) for mean in means) / len(means) + a * sum(STRENGTHS) / len(STRENGTHS)
        curve = [math.exp(height - a * eps) for eps in STRENGTHS]
        left.plot(STRENGTHS, curve, color=f"C{index}", label=f"exp({-a:+.2f} eps)")
    left.set(yscale="log", xlabel="eps", ylabel="mean iterations to escape")
    left.legend(fontsize=8)
    times = results["forward"][0]
    for eps, one in list(zip(STRENGTHS, times, strict=True))[::2]:
        ordered = (one.sort().values / one.mean()).tolist()
        right.plot(ordered, [1 - index / len(ordered) for index in range(len(ordered))], label=f"eps {eps}")
    right.plot([0, 5], [1, math.exp(-5)], "k--", linewidth=0.8, label="exponential")
    right.set(yscale="log", xlabel="iterations / mean", ylabel="share still inside", xlim=(0, 5), ylim=(5e-3, 1.1))
    right.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file)


if __name__ == "__main__":
    main()
