"""What the command prints: errors on stderr in three lines, tables and JSON on stdout."""

import errno
import functools
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

import typer
from rich.measure import Measurement
from rich.table import Table

from eb_core.cli import signals
from eb_core.cli.terminal import Terminal, paragraphs, styled
from eb_core.registry import EbError, Fault
from eb_core.registry.wording import shortened, shown, told

P = ParamSpec("P")
R = TypeVar("R")

TRACEBACK_VARIABLE = "EB_TRACEBACK"

out = Terminal()
err = Terminal(stderr=True)


def table(*columns: str, title: str | None = None) -> Table:
    """A table in the house style."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", expand=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_wide(shown: Table) -> None:
    """A table at the width that it needs, wider than the terminal if must be: names stay in one piece."""
    width = Measurement.get(out, out.options.update(width=10_000), shown).maximum
    Terminal(width=width).print(shown)


def print_json(value: Any) -> None:
    """One JSON document on stdout; JSON has no nan and no inf, so they become null."""
    sys.stdout.write(json.dumps(_finite(value), indent=2, default=str, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_fault(fault: Fault, console: Terminal = err) -> None:
    """What, where from, what to do."""
    console.print(styled("[bold red]error:[/] {}", fault.what))
    show_cure(fault, console)


def show_cure(fault: Fault, console: Terminal = err) -> None:
    """Where a fault came from, and what to do."""
    if fault.origin:
        console.print(styled("  [dim]from:[/] {}", fault.origin))
    if fault.advice:
        console.print(styled("  [dim]try:[/]  {}", fault.advice))


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn exceptions of a command into messages and exit codes; a traceback only when asked for."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with signals.running():
                return command(*args, **kwargs)
        except typer.Exit:
            raise
        except BaseException as error:
            raise typer.Exit(report(error)) from error

    return wrapper


def report(error: BaseException) -> int:
    """Show an error and give the exit code that belongs to it."""
    if os.environ.get(TRACEBACK_VARIABLE) == "1":
        err.print(paragraphs("".join(traceback.format_exception(error))))
    if isinstance(error, KeyboardInterrupt):
        err.print(styled("[bold yellow]interrupted[/]{}", f" by {error}" if str(error) else ""))
        _show_notes(error)
        return signals.exit_code(error)
    for fault in _faults(error):
        show_fault(fault)
    _show_notes(error)
    return error.exit_code if isinstance(error, EbError) else 1


def _faults(error: BaseException) -> Iterator[Fault]:
    """What to say of an error, also of one that nobody expected."""
    if isinstance(error, EbError):
        yield from error.shown
        return
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _faults(part)
        return
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    origin = f"{frames[0].filename}, line {frames[0].lineno}" if frames else ""
    text = told(error)
    if isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
        yield Fault(f"not enough memory: {text}", origin, "take a smaller batch_size or a smaller model")
    elif isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f": {os.fsdecode(error.filename)}"
        yield Fault(f"{error.strerror}{name}", origin, _CURES.get(error.errno or 0, _WHOLE_WAY))
    else:
        yield Fault(text, origin, _WHOLE_WAY)


_OUT_OF_MEMORY = ("can't allocate memory", "CUDA out of memory")
_WHOLE_WAY = "--traceback shows the whole way there"
_CURES = {
    errno.ENOSPC: "make room on the disk",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "ask for permission, or choose another place",
    errno.EPERM: "ask for permission, or choose another place",
}


def _show_notes(error: BaseException) -> None:
    """What was noted on the way up: where the weights so far are, say."""
    notes = getattr(error, "__notes__", ())
    for note in notes if isinstance(notes, list) else ():
        err.print(shortened(note) if isinstance(note, str) else shown(note))
