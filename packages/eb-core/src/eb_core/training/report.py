"""What a training tells of itself: one report per epoch, to whoever watches."""

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import attrs

from eb_core.registry.wording import shortened
from eb_core.training.evaluation import Score
from eb_core.training.health import Health


@attrs.frozen
class EpochReport:
    """What one epoch did; one line of `metrics.jsonl`.

    Args:
        advice: what to change, each with the figure that says so (`training/diagnosis.py`).
        usage: what was used of a device, by name; nothing of a simulation.
    """

    epoch: int
    lr: float
    train: Score
    validation: Score | None
    health: Health
    seconds: float
    advice: tuple[str, ...] = ()
    usage: Mapping[str, float] = attrs.field(factory=dict)

    def record(self) -> dict[str, Any]:
        """Plain values; None, and advice and usage where there is none, left out."""
        return attrs.asdict(self, filter=lambda _, value: value is not None and value not in ((), {}))

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
            tuple(record.get("advice", ())),
            record.get("usage", {}),
        )


class Notice(UserWarning):
    """What an energy or a relaxer has to say before a training starts, and the advice of its epochs.

    `eb.train` issues it as a warning; the command `eb train` prints it; manifest and metrics keep it.
    It is one line, whatever a plugin or a file says in it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(shortened(text))


class NewAdvice:
    """Tells advice that was given before, with other figures, from what is new."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, report: EpochReport) -> list[str]:
        """The lines of a report that are new."""
        kinds = {re.sub(r"[\d.e+-]+", "", line): line for line in report.advice}
        new = [line for kind, line in kinds.items() if kind not in self._given]
        self._given |= set(kinds)
        return new


class AdviceAsWarnings:
    """An observer that issues notices and new advice as `Notice` warnings.

    Args:
        file, line: where the warnings point at: the call that trains.
    """

    def __init__(self, file: str, line: int) -> None:
        self._file, self._line, self._new = file, line, NewAdvice()

    def batch(self, epoch: int, done: int, total: int) -> None:
        """Nothing to say."""

    def epoch(self, report: EpochReport) -> None:
        """Warn."""
        for advice in self._new.of(report):
            self.notice(advice)

    def notice(self, text: str) -> None:
        """Warn."""
        warnings.warn_explicit(text, Notice, self._file, self._line)


class Notes(list[str]):
    """An observer that keeps what it is told."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """Nothing to keep."""

    def epoch(self, report: EpochReport) -> None:
        """Nothing to keep."""

    def notice(self, text: str) -> None:
        """Keep it."""
        self.append(text)


class Observer(Protocol):
    """Somebody who watches a training: a progress bar, a run directory, its checkpoints.

    One that has a method `notice(text)`, too, is told what the parts have to say of the training.
    """

    def batch(self, epoch: int, done: int, total: int) -> None:
        """A batch is done."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is done."""


def tell(observers: Iterable[Observer], text: str) -> None:
    """Tell a notice to the observers that listen to notices."""
    for observer in observers:
        notice = getattr(observer, "notice", None)
        if notice is not None:
            notice(text)
