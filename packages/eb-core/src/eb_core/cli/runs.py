"""`eb runs` and `eb compare`: what was trained, how it ended, and what made the difference."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from eb_core.cli.listing import AsJson
from eb_core.cli.render import err, guarded, out, print_json, print_wide, table
from eb_core.cli.terminal import styled
from eb_core.learning.usage import duration
from eb_core.registry import UsageError
from eb_core.registry.commands import command
from eb_core.registry.wording import shortened

_USED = {"seconds": duration, "settles": "{:,}".format, "programs": "{:,}".format, "joules": "{:.3g} J".format}
"""What is shown of the use of a device, and how."""
_HEADS = {"seconds": "device time", "settles": "settles", "programs": "programmings", "joules": "energy"}
_COLOURS = {"finished": "green", "running": "cyan", "interrupted": "yellow", "failed": "red", "killed": "magenta"}


@guarded
def runs(
    folder: Annotated[Path, typer.Argument(help="Folder of run directories.")] = Path("runs"), as_json: AsJson = False
) -> None:
    """List the runs in a folder: what they are, how they ended, how they did."""
    from eb_core.training.history import find_runs
    from eb_core.training.manifest import SIMULATOR

    found = find_runs(folder)
    if as_json:
        print_json([run.record() for run in found])
        return
    if not found:
        err.print(styled("[yellow]no runs in {}[/]", folder))
        return
    records = [run.record() for run in found]
    backends = ["backend"] if any(record["backend"] not in (None, SIMULATOR) for record in records) else []
    kinds = ("model", "dataset", "relaxer", *backends, "rule")
    devices = ["device"] if any(record["usage"] for record in records) else []
    shown = table("run", "status", *kinds, "seed", "epochs", "validation", "test", *devices)
    for run, record in zip(found, records, strict=True):
        shown.add_row(
            run.name,
            styled(f"[{_COLOURS.get(run.status, 'red')}]{{}}[/]", run.status),
            *(_text(record[kind]) for kind in (*kinds, "seed")),
            f"{record['epochs']}/{_text(record['of'])}",
            _share(record["validation"]),
            styled("[bold]{}[/]", _share(record["test"])),
            *(_time(record["usage"]) for _ in devices),
        )
    print_wide(shown)
    stopped = [run for run in found if run.status in ("killed", "interrupted")]
    if stopped:
        again = command("eb", "train", "--resume", Path(os.path.relpath(stopped[-1].path)))
        out.print(styled("\n[dim]to go on with the last one that was stopped: {}[/]", again))


@guarded
def compare(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN RUN…", help="Run directories made by `eb train`.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw learning curves into FILE.svg or FILE.png.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show only what differs between runs, and how they did."""
    from eb_core.training.curves import check_plot, plot_curves
    from eb_core.training.history import differing, summarise

    if len(paths) < 2:
        raise UsageError("one run alone has nothing to differ from", origin="RUN", advice="give two or more")
    if plot is not None:
        check_plot(plot)
    found = [summarise(path) for path in paths]
    rows = differing(found)
    if plot is not None:
        plot_curves(found, plot)
    if as_json:
        print_json({"runs": [run.record() for run in found], "differing": rows})
        return
    shown = table("", *(run.name for run in found))
    for key, values in rows.items():
        shown.add_row(key, *(_text(value) for value in values))
    if not rows:
        shown.add_row(styled("[dim]the same recipe[/]"))
    records = [run.record() for run in found]
    shown.add_section()
    shown.add_row(styled("[bold]status[/]"), *(_text(record["status"]) for record in records))
    shown.add_row(styled("[bold]epochs[/]"), *(f"{record['epochs']}/{_text(record['of'])}" for record in records))
    shown.add_row(styled("[bold]best epoch[/]"), *(_text(record["best_epoch"]) for record in records))
    shown.add_row(styled("[bold]validation[/]"), *(_share(record["validation"]) for record in records))
    shown.add_row(styled("[bold]test[/]"), *(_share(record["test"]) for record in records))
    if any(record["start"] for record in records):
        shown.add_row(styled("[bold]began with[/]"), *(record["start"] or "fresh weights" for record in records))
    for what, told in _USED.items():
        if any(what in record["usage"] for record in records):
            cells = (told(record["usage"][what]) if what in record["usage"] else "-" for record in records)
            shown.add_row(styled("[bold]{}[/]", _HEADS[what]), *cells)
    print_wide(shown)
    if plot is not None:
        out.print(styled("\ncurves        {}", plot))


def _text(value: Any) -> str:
    return "-" if value is None else shortened(str(value))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _time(usage: Mapping[str, float]) -> str:
    return duration(usage["seconds"]) if "seconds" in usage else "-"
