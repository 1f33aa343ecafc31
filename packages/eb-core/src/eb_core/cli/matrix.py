"""`eb list-plugins --matrix`: which relaxer fits which energy, which rule which backend, and why not."""

from collections.abc import Sequence
from typing import Any

import attrs
from rich.text import Text

from eb_core.cli.render import out, print_json, print_wide, table
from eb_core.cli.terminal import styled
from eb_core.registry import EbError, Fault, Registry
from eb_core.registry.catalog import Offer
from eb_core.registry.options import structure
from eb_core.registry.setup import Setup

TABLES = (("relaxer", "energy"), ("rule", "backend"))
"""The kinds of the rows and of the columns."""


@attrs.frozen
class Pair:
    """Two components with their default options: they fit unless there is a reason."""

    row: str
    column: str
    reason: str | None


def pairs(registry: Registry, rows: str, columns: str) -> list[Pair]:
    """Every pair of what is registered of two kinds; what cannot be made, or asked, is a reason and no error."""
    others = _made(registry, columns)
    return [
        Pair(row, column, _reason({rows: one, columns: other}))
        for row, one in _made(registry, rows).items()
        for column, other in others.items()
    ]


def _reason(parts: dict[str, Any]) -> str | None:
    from eb_core.learning.fit import misfit

    broken = next((one.what for one in parts.values() if isinstance(one, Fault)), None)
    if broken:
        return broken
    try:
        return misfit(Setup(**parts))
    except EbError as error:  # a device whose capabilities cannot be read, say
        return error.faults[0].what


def _made(registry: Registry, kind: str) -> dict[str, Any]:
    """Name -> instance with default options, or the fault that there is none; a name in conflict in full."""
    offers = list(registry.offers(kind))
    bare = [offer.component.name for offer in offers]
    return {
        offer.component.name if bare.count(offer.component.name) == 1 else offer.qualified: _instance(
            registry, kind, offer
        )
        for offer in offers
    }


def _instance(registry: Registry, kind: str, offer: Offer) -> Any:
    preset = {key: (value, "preset") for key, value in offer.component.preset.items()}
    try:
        instance, _, faults = structure(
            registry.load(kind, offer.component), preset, f"{kind} '{offer.component.name}'"
        )
    except EbError as error:
        return error.faults[0]
    return faults[0] if instance is None else instance


def show_matrix(registry: Registry, as_json: bool) -> None:
    """One table of relaxers and energies, one of rules and backends; below, by number, why something does not fit."""
    found = {kinds: pairs(registry, *kinds) for kinds in TABLES}
    if as_json:
        print_json(
            {
                f"{rows}s": [
                    {rows: one.row, columns: one.column, "reason": one.reason, "fits": one.reason is None}
                    for one in some
                ]
                for (rows, columns), some in found.items()
            }
        )
        return
    reasons = list(dict.fromkeys(one.reason for some in found.values() for one in some if one.reason))
    for (rows, columns), some in found.items():
        if not some:
            out.print(styled("[yellow]no {} or no {} is installed[/]\n", rows, columns))
            continue
        out.print(styled("[bold]{}s on {}[/]", rows, {"energy": "energies"}.get(columns, f"{columns}s")))
        _show(rows, some, reasons)
        out.print()
    for number, reason in enumerate(reasons, 1):
        out.print(styled("[yellow]no {}[/]  {}", number, reason))


def _show(rows: str, found: Sequence[Pair], reasons: list[str]) -> None:
    shown = table(rows, *dict.fromkeys(one.column for one in found))
    for name in dict.fromkeys(one.row for one in found):
        cells = (_cell(one, reasons) for one in found if one.row == name)
        shown.add_row(styled("[cyan]{}[/]", name), *cells)
    print_wide(shown)


def _cell(one: Pair, reasons: list[str]) -> Text:
    if one.reason is None:
        return styled("[green]fits[/]")
    return styled("[yellow]no {}[/]", reasons.index(one.reason) + 1)
