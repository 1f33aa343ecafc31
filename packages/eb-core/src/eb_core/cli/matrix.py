"""`eb list-plugins --matrix`: which relaxer fits which energy, and why not where it does not."""

from typing import Any

import attrs
from rich.text import Text

from eb_core.cli.render import out, print_json, print_wide, table
from eb_core.cli.terminal import styled
from eb_core.registry import EbError, Fault, Registry
from eb_core.registry.catalog import Offer
from eb_core.registry.options import structure
from eb_core.registry.setup import Setup


@attrs.frozen
class Pair:
    """One relaxer with its defaults on one energy with its own: it fits unless there is a reason."""

    relaxer: str
    energy: str
    reason: str | None


def pairs(registry: Registry) -> list[Pair]:
    """Every pair of what is registered; a component that cannot be made is a reason, not an error."""
    from eb_core.learning.fit import misfit

    energies = _made(registry, "energy")
    found = []
    for relaxer, dynamics in _made(registry, "relaxer").items():
        for energy, physics in energies.items():
            broken = next((one.what for one in (dynamics, physics) if isinstance(one, Fault)), None)
            found.append(Pair(relaxer, energy, broken or misfit(Setup(energy=physics, relaxer=dynamics))))
    return found


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
    """A table of relaxers and energies; the reasons of what does not fit stand below it, by number."""
    found = pairs(registry)
    if as_json:
        print_json([{**attrs.asdict(one), "fits": one.reason is None} for one in found])
        return
    energies = list(dict.fromkeys(one.energy for one in found))
    reasons = list(dict.fromkeys(one.reason for one in found if one.reason))
    shown = table("relaxer", *energies)
    for relaxer in dict.fromkeys(one.relaxer for one in found):
        row = [one for one in found if one.relaxer == relaxer]
        shown.add_row(styled("[cyan]{}[/]", relaxer), *(_cell(one, reasons) for one in row))
    print_wide(shown)
    out.print()
    for number, reason in enumerate(reasons, 1):
        out.print(styled("[yellow]no {}[/]  {}", number, reason))
    if not found:
        out.print(styled("[yellow]no relaxer or no energy is installed[/]"))


def _cell(one: Pair, reasons: list[str]) -> Text:
    if one.reason is None:
        return styled("[green]fits[/]")
    return styled("[yellow]no {}[/]", reasons.index(one.reason) + 1)
