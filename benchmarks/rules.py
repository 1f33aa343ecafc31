"""Every learning rule on one data set: test accuracy and CPU time for each epoch, as a table in Markdown.

    python benchmarks/rules.py [--dataset NAME] [--limit N] [--epochs N] [--seeds N] [--rules NAME …] [--rates LR …]

All rules train the same net, an MLP with 120 hidden units, with SGD and a cosine schedule, settled by the relaxer
`hopfield`. Only the learning rate is a rule's own: the one of `--rates` that does best on a tenth of the training
samples, held out, with a seed that is not among those of the table. Then each seed trains on all training samples,
and the test samples are looked at once. Files of data sets are found as `eb train` finds them, by EB_DATA_DIR.
"""

import argparse
import itertools
import statistics
import time
from typing import Any

import attrs

import eb_core as eb

RULES = ("c-ep", "p-ep", "n-ep", "cl", "c-cpl", "p-cpl", "n-cpl", "tbp", "rbp", "bp")
RATES = (0.03, 0.1, 0.3)
BETA = 0.2
SEED_OF_RATES = 1000


class Stopwatch:
    """CPU time of each epoch, which other users of the machine change little; one thread, so also its wall time."""

    def __init__(self) -> None:
        self.marks = [time.process_time()]

    def batch(self, epoch: int, done: int, total: int) -> None:
        pass

    def epoch(self, report: object) -> None:
        self.marks.append(time.process_time())

    def seconds(self) -> list[float]:
        return [after - before for before, after in itertools.pairwise(self.marks)]


@attrs.frozen
class Bench:
    """What all rules share."""

    data: eb.Data
    epochs: int
    batch_size: int
    output: str

    def train(self, rule: str, lr: float, *, seed: int, held_out: float = 0.0, watch: Any = ()) -> Any:
        """One training, in one thread."""
        own = {} if rule in ("cl", "tbp", "rbp", "bp") else {"beta": BETA}
        return eb.train(
            {"name": "mlp", "hidden": [120]},
            energy={"name": "hopfield", "output": self.output},
            relaxer="hopfield",
            rule={"name": rule, **own},
            cost="squared-error",
            data=self.data,
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer="sgd",
            lr=lr,
            schedule="cosine",
            validation=held_out,
            select="last",
            seed=seed,
            threads=1,
            observers=watch,
        )

    def best_rate(self, rule: str, rates: list[float]) -> float:
        """The rate of highest accuracy on held-out training samples; a rate that diverges has none."""
        if len(rates) == 1:
            return rates[0]

        def merit(lr: float) -> float:
            try:
                last = self.train(rule, lr, seed=SEED_OF_RATES, held_out=0.1).reports[-1]
            except eb.RunError:
                return 0.0
            return float(last.validation.accuracy)

        return max(rates, key=merit)

    def row(self, rule: str, rates: list[float], seeds: int) -> str:
        """A line of the table."""
        lr = self.best_rate(rule, rates)
        tested, trained, seconds, walls = [], [], [], []
        for seed in range(seeds):
            watch = Stopwatch()
            result = self.train(rule, lr, seed=seed, watch=[watch])
            assert result.test is not None, "the data set has test samples"
            tested.append(100 * result.test.accuracy)
            trained.append(100 * result.reports[-1].train.accuracy)
            seconds += watch.seconds()
            walls.append(100 * (result.reports[-1].health.saturated or 0.0))
        spread = f"{statistics.mean(tested):.2f} | {min(tested):.2f} to {max(tested):.2f}"
        means = f"{statistics.mean(trained):.2f} | {statistics.mean(walls):.0f} %"
        return f"| `{rule}` | {lr:g} | {spread} | {means} | {statistics.median(seconds):.2f} s |"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--limit", type=int, default=None, help="only the first so many training samples")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", choices=("linear", "boxed"), default="linear", help="domain of the output units")
    parser.add_argument("--rules", nargs="+", default=RULES, metavar="NAME")
    parser.add_argument("--rates", nargs="+", type=float, default=RATES, metavar="LR")
    asked = parser.parse_args()
    registry = eb.Registry.installed()
    options = {} if asked.limit is None else {"limit": asked.limit}
    data = registry.load("dataset", registry.find("dataset", asked.dataset))(**options).load(None)
    bench = Bench(data, asked.epochs, asked.batch_size, asked.output)
    print(
        f"{asked.dataset}: {len(data.train):,} training samples, {asked.epochs} epochs, seeds 0 to {asked.seeds - 1}\n"
    )
    print("| rule | learning rate | test accuracy | min to max | in training, last epoch | on a wall | CPU per epoch |")
    print("|---|---|---|---|---|---|---|")
    for rule in asked.rules:
        print(bench.row(rule, list(asked.rates), asked.seeds), flush=True)


if __name__ == "__main__":
    main()
