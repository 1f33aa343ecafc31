"""Errors that carry their inputs and the cure: what happened, where it came from, what to do.

Every error a user can cause is an `EbError`. It holds one or more `Fault` records, so that a whole
recipe can be checked and all its problems reported at once, and the exit code of the command.
"""

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from eb_core.registry.wording import shortened, shown

SHOWN: Final = 20
"""So many problems are shown at one place; of more, only the number."""


@attrs.frozen
class Fault:
    """One problem: `what` happened, `origin` (flag, file, plugin) it came from, `advice` on what to do.

    Each is one line, and shortened where it is too long to be read.
    """

    what: str = attrs.field(converter=shortened)
    origin: str = attrs.field(default="", converter=shortened)
    advice: str = attrs.field(default="", converter=shortened)

    def __str__(self) -> str:
        lines = [self.what]
        if self.origin:
            lines.append(f"  from: {self.origin}")
        if self.advice:
            lines.append(f"  try:  {self.advice}")
        return "\n".join(lines)


class EbError(Exception):
    """Base of all errors that a user can cause; `exit_code` is what the command `eb` returns."""

    exit_code = 1

    def __init__(self, *faults: Fault | str, origin: str = "", advice: str = "") -> None:
        self.faults: tuple[Fault, ...] = tuple(
            Fault(fault, origin, advice) if isinstance(fault, str) else fault for fault in faults
        )
        super().__init__("\n".join(map(str, self.shown)))

    @property
    def shown(self) -> tuple[Fault, ...]:
        """The first faults, and the number of the others where there are too many to be read."""
        rest = len(self.faults) - SHOWN
        return self.faults if rest <= 1 else (*self.faults[:SHOWN], Fault(f"… and {rest:,} more"))

    def __reduce__(self) -> tuple[type["EbError"], tuple[Fault, ...]]:
        return type(self), self.faults


class RunError(EbError):
    """A run started and failed: the loss is not finite, a device went away, the disk is full."""

    exit_code = 1


class UsageError(EbError):
    """What was asked for makes no sense: unknown name, wrong type, out of range, unusable data."""

    exit_code = 2


class PluginError(EbError):
    """A plugin is missing, broken, incompatible, or clashes with another one."""

    exit_code = 3


def raise_if_any(faults: Sequence[Fault], error: type[EbError] = UsageError) -> None:
    """Raise `error` with all `faults`, or return when there are none."""
    if faults:
        raise error(*faults)


@contextlib.contextmanager
def gathered(errors: list[EbError]) -> Iterator[None]:
    """Go on after a usage or plugin error, which is kept in `errors`; `raise_together` ends it."""
    try:
        yield
    except (UsageError, PluginError) as error:
        errors.append(error)


def raise_together(errors: Sequence[EbError]) -> None:
    """One error with the faults of all `errors`; a plugin in trouble goes before wrong usage. Nothing if none."""
    if errors:
        gravest = max(errors, key=lambda error: error.exit_code)
        raise type(gravest)(*(fault for error in errors for fault in error.faults))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Advice for a misspelt `name`: the nearest known names, or the whole list when none is near.

    `C-EP`, `c_ep` and `c ep` are as near to `c-ep` as can be.
    """
    plain: dict[str, list[str]] = {}
    for one in sorted(set(known)):
        plain.setdefault(_plain(one), []).append(one)
    meant = _plain(name)
    near = [meant] if meant in plain else difflib.get_close_matches(meant, plain, n=3, cutoff=0.55)
    if near:
        return "did you mean " + " or ".join(shown(one) for key in near for one in plain[key]) + "?"
    if plain:
        return "known: " + ", ".join(one for names in plain.values() for one in names)
    return "nothing of this kind is installed"


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().casefold())
