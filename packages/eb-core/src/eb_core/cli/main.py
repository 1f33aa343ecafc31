"""The command `eb`. typer lives in this package and nowhere else; torch is imported only by commands that need it."""

import importlib.metadata
import os
import sys
from typing import Annotated

import typer

from eb_core.cli.doctor import doctor
from eb_core.cli.evaluate import evaluate
from eb_core.cli.listing import describe, list_plugins
from eb_core.cli.render import report
from eb_core.cli.train import train
from eb_core.registry import PluginFilter, Registry
from eb_core.registry.discovery import ALLOW_VARIABLE, DENY_VARIABLE

app = typer.Typer(
    name="eb",
    help="Energy-based learning: networks that settle to a minimum of an energy, and learn from where they settle.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eb-core {importlib.metadata.version('eb-core')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    allow: Annotated[
        str | None, typer.Option("--plugins-allow", metavar="PATTERNS", help="Load only these plugins.", envvar=ALLOW_VARIABLE)
    ] = None,
    deny: Annotated[
        str | None, typer.Option("--plugins-deny", metavar="PATTERNS", help="Never load these.", envvar=DENY_VARIABLE)
    ] = None,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the whole traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Options of every command; they stand before the command's name."""
    if traceback:
        os.environ["EB_TRACEBACK"] = "1"
    plugin_filter = PluginFilter.from_environment({ALLOW_VARIABLE: allow or "", DENY_VARIABLE: deny or ""})
    context.obj = Registry.installed(plugin_filter)


for command in (list_plugins, describe, doctor, train, evaluate):
    app.command(command.__name__.replace("_", "-"))(command)


def main() -> None:
    """Entry point of the console script: Ctrl-C before a command has begun also ends with one line."""
    try:
        app()
    except KeyboardInterrupt as error:
        sys.exit(report(error))
