"""Data and backends that the tests of device commands name as `device_parts:Class`."""

from pathlib import Path
from typing import Any

import torch
from foreign_physics import Centred
from noisy_board import Chip

from eb_core import Data, Dataset, configurable, option
from eb_core.device import Capabilities, Device

LOADED: list[int] = []
"""How often data were loaded, for a test to look at."""


@configurable
class Clouds(Dataset):
    """Two clouds of four features: 44 samples to learn, 20 to test."""

    def load(self, data_dir: Path | None = None) -> Data:
        LOADED.append(1)
        y = torch.arange(64) % 2
        x = 0.9 * torch.randn(64, 4, generator=torch.Generator().manual_seed(0)) + 2 * y.unsqueeze(1) - 1
        return Data.from_arrays(x[:44], y[:44], test=(x[44:], y[44:]), name="clouds")

    def known_form(self) -> tuple[tuple[int, ...], int]:
        return (4,), 2

    def known_sizes(self) -> tuple[int, int]:
        return 44, 20


@configurable
class Unforeseen(Clouds):
    """The same, of which nothing is known before they are loaded."""

    known_form = Dataset.known_form  # type: ignore[assignment]
    known_sizes = Dataset.known_sizes  # type: ignore[assignment]


@configurable
class Differentiating(Centred):
    """A rule that no device can follow."""

    differentiates = True


@configurable
class OtherNet(Centred):
    """A rule whose net predicts in a way of its own, and that no device can follow."""

    differentiates = True

    def infer(self, session: Any, problem: Any, start: Any = None, *, generator: Any = None) -> Any:
        return session.settle(problem, start, generator=generator)


@configurable
class Meter(Chip):
    """A chip whose probe may fail."""

    mood: str = option(default="odd", help="of its probe")

    def probe(self) -> Capabilities:
        if self.mood == "odd":
            return {"unit": "cell"}  # type: ignore[return-value]
        raise OSError("no such port")


@configurable
class Mute(Chip):
    """A chip that cannot be probed, and cannot be closed."""

    probe = Chip.__mro__[1].probe  # type: ignore[attr-defined]

    def connect(self) -> Device:
        device = super().connect()
        device.close = self._stuck  # type: ignore[method-assign]
        return device

    def _stuck(self) -> None:
        raise OSError("the switch is stuck")


@configurable
class Unreadable(Chip):
    """A chip whose capabilities file is not there."""

    def capabilities(self) -> Capabilities:
        return super(Chip, self).capabilities()
