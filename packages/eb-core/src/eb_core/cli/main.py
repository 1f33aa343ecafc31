"""The command `eb`. typer lives in this package and nowhere else; torch is imported only by commands that need it."""

import argparse
import importlib.metadata
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from eb_core.cli.check import check
from eb_core.cli.doctor import doctor
from eb_core.cli.evaluate import evaluate
from eb_core.cli.listing import describe, list_plugins
from eb_core.cli.new_plugin import new_plugin
from eb_core.cli.relax import relax
from eb_core.cli.render import TRACEBACK_VARIABLE, guarded, report
from eb_core.cli.runs import compare, runs
from eb_core.cli.streams import on_standard_streams
from eb_core.cli.train import train
from eb_core.registry import Registry
from eb_core.registry.plugin_filter import ALLOW_VARIABLE, DENY_VARIABLE
from eb_core.registry.wording import visible

HELP = ("-h", "--help")
COMMANDS = (list_plugins, describe, doctor, train, evaluate, runs, compare, relax, check, new_plugin)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eb-core {importlib.metadata.version('eb-core')}")
        raise typer.Exit


@guarded
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = Registry.installed()


class Commands(TyperGroup):
    """The commands; what is said of a line that cannot be read is tame, as `eb evaluate runs/*` may name anything."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            said: Any = error
            if hasattr(said, "format_message"):
                text = "\n".join(map(visible, said.format_message().splitlines()))
                said.format_message = lambda: text
            raise


def make_app(light: bool = False) -> typer.Typer:
    """The command line; `light` leaves out the flags for help and completion.

    typer loads pydantic (0.1 s of every start) to read those, also where they are not given.
    """
    made = typer.Typer(
        name="eb",
        cls=Commands,
        help="Energy-based learning: networks that settle to a minimum of an energy, and learn from where they settle.",
        epilog="Anywhere on the line: --plugins-allow PATTERNS and --plugins-deny PATTERNS (names of packages or "
        f"plugins, comma-separated, * and ? allowed; also {ALLOW_VARIABLE}, {DENY_VARIABLE}), --traceback for the "
        "whole way to an error.",
        no_args_is_help=True,
        add_completion=not light,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": [] if light else list(HELP)},
    )
    made.callback()(_root)
    for command in COMMANDS:
        made.command(command.__name__.replace("_", "-"))(command)
    return made


app = make_app()


@on_standard_streams
def main() -> None:
    """Entry point of the console script.

    The flags about plugins become environment variables before typer sees the line: so they are valid anywhere
    on it, and shell completion obeys them too.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, prog="eb")
    early.add_argument("--plugins-allow", dest=ALLOW_VARIABLE)
    early.add_argument("--plugins-deny", dest=DENY_VARIABLE)
    early.add_argument("--traceback", dest=TRACEBACK_VARIABLE, action="store_const", const="1")
    try:
        flags, rest = early.parse_known_args()
        os.environ |= {name: value for name, value in vars(flags).items() if value is not None}
        plain = rest[:1] == ["list-plugins"] and not set(HELP) & set(rest)
        (make_app(light=True) if plain else app)(rest)
    except KeyboardInterrupt as error:
        sys.exit(report(error))
