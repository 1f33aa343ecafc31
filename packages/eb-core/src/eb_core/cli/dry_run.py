"""`eb train --dry-run`: every setting with its origin, and how long a device will take."""

from typing import TYPE_CHECKING, Any

import attrs

from eb_core.cli.render import out, print_json, table
from eb_core.cli.terminal import styled
from eb_core.registry import Configuration
from eb_core.registry.recipes import TRAINER

if TYPE_CHECKING:
    from eb_core.training.estimate import Estimate
    from eb_core.training.start import Start


def show_configuration(configuration: Configuration, start: "Start | None", as_json: bool) -> None:
    """Print what would be trained, and from which weights; no data is loaded."""
    from eb_core.training.estimate import beyond_budget

    found, whole = _estimate(configuration)
    notes = [*configuration.notes, *(beyond_budget(configuration[TRAINER], found) if whole else [])]
    if as_json:
        known: dict[str, Any] = {"estimate": attrs.asdict(found)} if found and whole else {}
        known |= {"start": dict(start.facts)} if start else {}
        print_json({"recipe": configuration.table(), "origins": configuration.origins(), "notes": notes, **known})
        return
    shown = table("section", "option", "value", "from")
    for kind, section in configuration.chosen.items():
        shown.add_row(styled("[bold]{}[/]", kind), "", styled("[cyan]{}[/]", section.name), "")
        for name, (value, origin) in section.values.items():
            text = "none" if value is None else str(value)
            shown.add_row("", name, text, styled("[dim]default[/]") if origin == "default" else origin)
    out.print(shown)
    if start:
        out.print(styled("\n[bold]begins with[/]  {}  [dim]{}[/]", start.told, start.facts["path"]))
    if found:
        of = (
            "" if whole else ", were there 1,000 samples in all: how many there are is not known before they are loaded"
        )
        out.print(styled("\n[bold]device time[/]  {}", found.told + of))
    for note in notes:
        out.print(styled("[yellow]note:[/] {}", note))
    out.print(styled("\n[dim]Nothing was trained and no data was loaded.[/]"))


def _estimate(configuration: Configuration) -> "tuple[Estimate | None, bool]":
    """What a device will be used for, and whether it is known of how many samples."""
    from eb_core.training.estimate import Sizes, estimate

    settings = configuration[TRAINER]
    known = configuration["dataset"].known_sizes()
    loaded, test = known or (1000, 0)
    sizes = Sizes.of(loaded, test, settings)
    return estimate(configuration["backend"], configuration["rule"], settings, sizes), known is not None
