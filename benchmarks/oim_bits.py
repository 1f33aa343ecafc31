"""How many bits an oscillator Ising machine needs (Gower, arXiv 2505.02103, Figs. 3 and 4): MNIST/100, 784-120-10.

    python benchmarks/oim_bits.py RESULTS.jsonl [--seeds 0 1 2 3 4] [--only phase] [--plot FILE]

phase: phases are read with n bits. parameter: couplings and fields have n bits, and training goes on from what the chip
holds, as in the paper. shadow: the same with weights of full precision beside the chip. All on the emulated chip.

A run that RESULTS.jsonl holds is not made again, so that the command can be ended and given again. Several may write
to one file, each with seeds of its own. Accuracy on the 100 test images of the set, which is the paper's figure, and on
the 10,000 of MNIST.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eb_core import train

CHIP: Final = Path(__file__).with_suffix(".toml")
BITS: Final = {"phase": (2, 3, 4, 6, 8), "parameter": (8, 10, 12), "shadow": (8, 10, 12)}
PUBLISHED: Final = {("phase", 2): (57.2, 2.5), ("phase", 4): (89.8, 1.5)} | {
    ("parameter", 8): (80.4, 2.4),
    ("parameter", 10): (89.4, 1.5),
}
"""Mean and standard deviation over five seeds, in %."""
TITLES: Final = {"phase": "phases", "parameter": "parameters", "shadow": "parameters, shadow weights"}


def chip_of(figure: str, bits: int) -> dict[str, Any]:
    """The emulated chip of one point of a figure."""
    if figure == "phase":
        return {"name": "emulator", "readout_bits": bits}
    precision = {"weight_bits": bits, "field_bits": bits}
    return {"name": "emulator", "chip": str(CHIP), "shadow": figure == "shadow", "allow_lossy": True, **precision}


def run(figure: str, bits: int, seed: int) -> dict[str, Any]:
    """One training with Table I of the paper, and what it reached; a free phase that is at rest goes on no further."""
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            recipe="oim-paper",
            relaxer={"tol": 1e-3, "nudged_tol": 0.0},
            dataset={"name": "mnist-100", "test": "full"},
            backend=chip_of(figure, bits),
            seed=seed,
            out=folder,
            predictions=True,
        )
        assert result.path is not None
        with np.load(result.path / "predictions.npz") as arrays:
            labels, predicted = arrays["labels"], arrays["predicted"]
    correct = labels == predicted
    small = np.concatenate([np.flatnonzero(labels == digit)[:10] for digit in range(10)])
    figures = {"accuracy": 100 * correct[small].mean(), "of_10000": 100 * correct.mean()}
    figures["training"] = 100 * result.reports[-1].train.accuracy
    return {"figure": figure, "bits": bits, "seed": seed, **{name: round(float(x), 2) for name, x in figures.items()}}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The runs that are in the file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def points(rows: list[dict[str, Any]], figure: str, name: str) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """(bits, what the seeds reached) of one curve."""
    for bits in BITS[figure]:
        reached = [row[name] for row in rows if (row["figure"], row["bits"]) == (figure, bits)]
        if reached:
            yield bits, np.array(reached)


def spread(values: NDArray[np.float64]) -> float:
    """Standard deviation of a sample."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Both figures side by side, the published values beside ours."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
    for panel, curves in zip(panels, (("phase",), ("parameter", "shadow")), strict=True):
        for curve in curves:
            ours = [(bits, values.mean(), spread(values)) for bits, values in points(rows, curve, "accuracy")]
            if ours:
                panel.errorbar(*zip(*ours, strict=True), fmt="o-", capsize=3, label=TITLES[curve])
        theirs = [(bits, *value) for (curve, bits), value in PUBLISHED.items() if curve == curves[0]]
        panel.errorbar(*zip(*theirs, strict=True), fmt="ks", mfc="none", capsize=3, label="paper")
        panel.set(xlabel=f"bits of {TITLES[curves[0]]}", xticks=BITS[curves[0]])
        panel.legend(loc="lower right")
    panels[0].set(ylabel="accuracy, 100 test images (%)")
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", choices=BITS, nargs="*", default=list(BITS))
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        for figure in arguments.only:
            for bits in BITS[figure]:
                done = {(row["figure"], row["bits"], row["seed"]) for row in rows_of(arguments.results)}
                if (figure, bits, seed) not in done:
                    line = json.dumps(run(figure, bits, seed))
                    with arguments.results.open("a") as file:
                        file.write(line + "\n")
                    print(line, flush=True)
    rows = rows_of(arguments.results)
    for figure in BITS:
        for bits, values in points(rows, figure, "accuracy"):
            full = next(found for at, found in points(rows, figure, "of_10000") if at == bits)
            print(
                f"{TITLES[figure]:28} {bits:2} bits  {values.mean():.1f} ± {spread(values):.1f}"
                f"   of 10,000: {full.mean():.2f} ± {spread(full):.2f}   seeds: {len(values)}"
            )
    if arguments.plot:
        draw(arguments.plot, rows)


if __name__ == "__main__":
    main()
