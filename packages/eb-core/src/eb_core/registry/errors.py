"""Errors that carry their inputs and the cure: what happened, where it came from, what to do.

Every error a user can cause is an `EbError`. It holds one or more `Fault` records, so that a whole
recipe can be checked and all its problems reported at once, and the exit code of the command.
"""

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Sequence

import attrs


@attrs.frozen
class Fault:
    """One problem: `what` happened, `origin` (flag, file, plugin) it came from, `advice` on what to do."""

    what: str
    origin: str = ""
    advice: str = ""

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
        super().__init__("\n".join(str(fault) for fault in self.faults))

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
    """Advice for a misspelt `name`: the nearest known names, or the whole list when none is near."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.55)
    if near:
        return "did you mean " + " or ".join(f"'{one}'" for one in near) + "?"
    if names:
        return "known: " + ", ".join(names)
    return "nothing of this kind is installed"
