"""What the command prints: errors on stderr in three lines, tables and JSON on stdout."""

import functools
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from eb_core.registry import EbError, Fault
from eb_core.registry.wording import told

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED = 130
TRACEBACK_VARIABLE = "EB_TRACEBACK"

out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def table(*columns: str, title: str | None = None) -> Table:
    """A table in the house style."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", expand=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_wide(shown: Table) -> None:
    """A table at the width that it needs, wider than the terminal if must be: names stay in one piece."""
    width = Measurement.get(out, out.options.update(width=10_000), shown).maximum
    Console(highlight=False, soft_wrap=True, emoji=False, width=width).print(shown)


def print_json(value: Any) -> None:
    """One JSON document on stdout; JSON has no nan and no inf, so they become null."""
    sys.stdout.write(json.dumps(_finite(value), indent=2, default=str, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_fault(fault: Fault) -> None:
    """What, where from, what to do."""
    err.print(f"[bold red]error:[/] {escape(fault.what)}")
    if fault.origin:
        err.print(f"  [dim]from:[/] {escape(fault.origin)}")
    if fault.advice:
        err.print(f"  [dim]try:[/]  {escape(fault.advice)}")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn exceptions of a command into messages and exit codes; a traceback only when asked for."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except typer.Exit:
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise typer.Exit(report(error)) from error

    return wrapper


def report(error: BaseException) -> int:
    """Show an error and give the exit code that belongs to it."""
    if os.environ.get(TRACEBACK_VARIABLE) == "1":
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the reader has gone; say nothing more
        return 0
    if isinstance(error, KeyboardInterrupt):
        err.print("[bold yellow]interrupted[/]")
        _show_notes(error)
        return INTERRUPTED
    if isinstance(error, EbError):
        for fault in error.shown:
            show_fault(fault)
        _show_notes(error)
        return error.exit_code
    frame = traceback.extract_tb(error.__traceback__)[-1]
    show_fault(
        Fault(
            told(error),
            f"{frame.filename}, line {frame.lineno}",
            "--traceback shows the whole way there",
        )
    )
    _show_notes(error)
    return 1


def _show_notes(error: BaseException) -> None:
    """What was noted on the way up: where the weights so far are, say."""
    for note in getattr(error, "__notes__", ()):
        err.print(escape(note))
