"""What a training tells of itself: one report per epoch, to whoever watches."""

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from eb_core.training.evaluation import Score
from eb_core.training.health import Health


@attrs.frozen
class EpochReport:
    """What one epoch did; one line of `metrics.jsonl`."""

    epoch: int
    lr: float
    train: Score
    validation: Score | None
    health: Health
    seconds: float

    def record(self) -> dict[str, Any]:
        """Plain values, None left out."""
        return attrs.asdict(self, filter=lambda _, value: value is not None)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "EpochReport":
        """The report of which `record` was made; its numbers are the same to the last bit."""
        validation = record.get("validation")
        return cls(
            record["epoch"],
            record["lr"],
            Score(**record["train"]),
            None if validation is None else Score(**validation),
            Health(**{field.name: record["health"].get(field.name) for field in attrs.fields(Health)}),
            record["seconds"],
        )


class Notice(UserWarning):
    """What an energy or a relaxer has to say before a training starts, though it is no reason to refuse.

    `eb.train` issues it by `warnings.warn`; the command `eb train` prints it; the manifest keeps it.
    """


class Observer(Protocol):
    """Somebody who watches a training: a progress bar, a run directory, its checkpoints."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """A batch is done."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is done."""
