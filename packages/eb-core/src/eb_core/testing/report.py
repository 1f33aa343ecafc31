"""What checks found, as records: plain data that a table, a certificate and a test read."""

import importlib.metadata
import math
import platform
import unittest
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import attrs
import numpy as np
import torch

from eb_core.registry import EbError
from eb_core.registry.wording import told

Verdict = Literal["passed", "failed", "skipped", "measured"]
OWN = "the device"
"""What settles the units of a device that has its own dynamics."""


class SkippedError(unittest.SkipTest):
    """A check does not apply to what is checked; the message says why. pytest shows the test as skipped."""


def words(error: Exception) -> str:
    """What an error says, in one line and without advice: it is what was found."""
    said = error.faults[0].what if isinstance(error, EbError) else told(error)
    return said.splitlines()[0]


@attrs.frozen
class Case:
    """One thing that was looked at.

    Args:
        what: in words, as they stand where it fails.
        holds: whether it is as promised.
        off: how far off it is, and `allowed` how far it may be, where there is a number.
    """

    what: str
    holds: bool
    off: float = math.nan
    allowed: float = math.nan

    def told(self) -> str:
        """In words, with the numbers."""
        if math.isnan(self.off):
            return self.what
        return f"{self.what}: off by {self.off:.2g}, allowed {self.allowed:.2g}"


def within(what: str, off: float, allowed: float) -> Case:
    """A case that holds where `off` is at most `allowed`."""
    return Case(what, off <= allowed, off, allowed)


@attrs.frozen
class Measured:
    """One figure, reported; with a limit it is judged.

    Args:
        name: what it is.
        value: the figure, and `low` to `high` the interval that it lies in.
        interval: how the interval was made, in words.
        least: the lower end of the interval must reach it; None: it is not judged.
        text: what the figure stands for, where its name does not say it.
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    interval: str = ""
    least: float | None = None
    text: str = ""


@attrs.frozen
class CheckResult:
    """One line of a report.

    Args:
        name: of the check, in the field's words.
        promise: what is checked.
        verdict: passed, failed, skipped (does not apply), or measured (a figure without a verdict).
        cases: number of things that were looked at.
        text: the worst case, what is wrong, or why it was skipped.
        figures: by name, where there are any.
        seconds: that it took.
    """

    name: str
    promise: str
    verdict: Verdict
    cases: int
    text: str
    figures: Mapping[str, float] = attrs.field(factory=dict)
    seconds: float = 0.0


@attrs.frozen
class Report:
    """All that is known of one component after its checks.

    Args:
        subject: what was checked, with the serial number where it has one.
        kind: of component.
        checks: what each of them found.
        facts: what it was checked with: energy, seed, capabilities.
        versions: of what took part.
        date: in UTC.
    """

    subject: str
    kind: str
    checks: Sequence[CheckResult]
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    versions: Mapping[str, str] = attrs.field(factory=dict)
    date: str = attrs.field(factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def of(self, verdict: Verdict) -> list[CheckResult]:
        """The checks that ended so."""
        return [one for one in self.checks if one.verdict == verdict]

    @property
    def cases(self) -> int:
        """Number of things that were looked at, in all checks."""
        return sum(one.cases for one in self.checks)

    @property
    def holds(self) -> bool:
        """Whether something was checked and nothing failed."""
        return bool(self.of("passed")) and not self.of("failed")

    def record(self) -> dict[str, Any]:
        """Plain values, as JSON has them: no number that is not finite."""
        counts = {verdict: len(self.of(verdict)) for verdict in get_args(Verdict)}
        said = {key: value for key, value in attrs.asdict(self).items() if key != "facts"}
        record = {"schema": 1, "holds": self.holds, "cases": self.cases, **counts, **said, **self.facts}
        plain: dict[str, Any] = _plain(record)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions_of(*parts: object) -> dict[str, str]:
    """Versions of the packages that the parts come from, and of what everything stands on."""
    modules = ["eb_core", *(type(part).__module__.partition(".")[0] for part in parts)]
    versions = {}
    for name in dict.fromkeys(module.replace("_", "-") for module in modules):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {**versions, "python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
