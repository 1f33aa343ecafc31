"""Small parts of one's own that the tests hand to the command as `tiny_parts:Class`."""

from collections.abc import Iterable
from pathlib import Path

import attrs
import torch

from eb_core import Data, Dataset, Diagnostic, GradientEstimate, Relaxer, Rule, Setup, configurable, option, refuse
from eb_dynamics_hopfield.block import Hopfield
from eb_rules.equilibrium_propagation import EquilibriumPropagation


@configurable
class Tiny(Dataset):
    """Two classes of random samples, 40 for training and 10 for testing."""

    features: int = option(default=4, help="numbers in a sample", ge=1)

    def load(self, data_dir: Path | None = None) -> Data:
        x = torch.rand(50, self.features, generator=torch.Generator().manual_seed(1))
        y = (x[:, 0] > 0.5).long()
        return Data.from_arrays(x[:40], y[:40], test=(x[40:], y[40:]), classes=2, name="tiny")


@configurable
class Untouchable(Dataset):
    """Data that nobody may load."""

    def load(self, data_dir: Path | None = None) -> Data:
        raise AssertionError("the data was loaded")


@configurable
class Foreseen(Untouchable):
    """The same, but everybody knows what is in it."""

    def known_form(self) -> tuple[tuple[int, ...], int]:
        return (4,), 3


@configurable
class Empty(Dataset):
    def load(self, data_dir: Path | None = None) -> Data:
        return Data.from_arrays(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), name="nothing")


@configurable
class WrongLabels(Dataset):
    def load(self, data_dir: Path | None = None) -> Data:
        return Data.from_arrays(torch.zeros(4, 4), torch.tensor([0, 1, 2, 7]), classes=2, name="mislabelled")


@configurable
class Choosy(Relaxer):
    """A dynamics that finds fault with every energy."""

    relax = Hopfield.relax
    iterate = Hopfield.iterate

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        yield refuse("it takes only frozen hydrogen")


@configurable
class Loud(Rule):
    """Centred equilibrium propagation that prints."""

    def estimate(self, *args: object, **kwargs: object) -> GradientEstimate:
        print("estimating")  # noqa: T201
        return EquilibriumPropagation().estimate(*args, **kwargs)


@configurable
class Poisoned(Rule):
    """The same, with a loss that is no number from the second batch on."""

    def estimate(self, *args: object, carry: object = None, **kwargs: object) -> GradientEstimate:
        estimate = EquilibriumPropagation().estimate(*args, **kwargs)
        return attrs.evolve(estimate, loss=estimate.loss * float("nan"))


@configurable
class Faulty(Rule):
    """A rule with a bug in it."""

    def estimate(self, *args: object, **kwargs: object) -> GradientEstimate:
        return {}["key that is not there"]
