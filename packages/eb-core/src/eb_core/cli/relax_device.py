"""`eb relax --backend`: a device settles one batch; what it took and where it ended, with nothing of a simulation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from eb_core.cli.relax_batch import Asked, Batch
from eb_core.cli.relax_table import heading, time_told
from eb_core.cli.render import err, out, print_json, print_wide, table
from eb_core.cli.terminal import styled
from eb_core.learning.usage import duration, in_words
from eb_core.registry import Configuration, UsageError
from eb_core.registry.recipes import TRAINER
from eb_core.registry.setup import Setup

if TYPE_CHECKING:
    from eb_core.diagnostics.on_backend import Settled


def settle(asked: Asked, made: Mapping[str, Configuration]) -> None:
    """Settle the batch on the backend of each configuration, and print it; `made` is by what the user calls it."""
    from eb_core.diagnostics.on_backend import settle_on
    from eb_core.learning.fit import notices
    from eb_core.training.execute import Device, threads
    from eb_core.training.report import Notes
    from eb_core.training.streams import stream

    if asked.beta:
        _require_nudge(made, asked.beta)
    first, said, found = next(iter(made.values())), Notes(asked.notes), []
    settings = first[TRAINER]
    with threads(settings.threads), err.status("loading data") as status:
        batch = Batch.of(asked, first)
        phase = batch.nudged(asked.beta) if asked.beta else None
        for name, one in made.items():
            parts = {kind: one[kind] for kind in ("energy", "relaxer", "backend")}
            said += [told for told in (*one.notes, *notices(Setup(**parts, network=batch.network))) if told not in said]
            status.update(styled("{}", name))
            opened = parts["backend"].open(
                batch.network, parts["energy"], parts["relaxer"], device=batch.device, dtype=batch.free.x.dtype
            )
            with Device(opened, [said]):
                found.append(
                    settle_on(
                        opened.__enter__(),
                        name,
                        batch.free,
                        phase,
                        repeats=asked.repeats,
                        generator=stream(settings.seed, "settle", device=batch.device),
                    )
                )
    facts = {key: value for key, value in batch.facts(asked).items() if key != "steps"} | {"notes": said}
    if asked.as_json:
        print_json({**facts, "backends": [_record(one) for one in found]})
    else:
        _show(found, facts)


def _require_nudge(made: Mapping[str, Configuration], beta: float) -> None:
    """Refuse a device that cannot nudge, before data are loaded; it is judged as by a rule that does.

    Raises:
        UsageError: with the reason.
    """
    from eb_core.diagnostics.on_backend import Nudging
    from eb_core.learning.fit import misfit

    for name, one in made.items():
        reason = misfit(Setup(rule=Nudging(), **{kind: one[kind] for kind in ("energy", "cost", "backend")}))
        if reason:
            raise UsageError(
                f"{name} cannot settle a nudged phase: {reason}",
                origin=f"--beta {beta:g}",
                advice="leave --beta out, or choose another backend or cost",
            )


def _record(one: "Settled") -> dict[str, Any]:
    plain = attrs.asdict(one, filter=lambda field, _: field.name not in ("energy", "residual", "used"))
    return {
        **plain,
        "used": dict(one.typical),
        "energy": float(one.energy.mean()),
        "residual": float(one.residual.max()),
    }


def _show(found: Sequence["Settled"], facts: Mapping[str, Any]) -> None:
    out.print(styled("[dim]{}[/]", heading(facts)))
    for note in facts["notes"]:
        out.print(styled("[yellow]note:[/] {}", note))
    out.print(styled("\n[bold]on a backend[/]"))
    what = "F = E + beta C" if facts["beta"] else "E"
    shown = table(
        "backend", "settles", "device time", "wall time", f"mean {what}", "largest residual", "between repeats"
    )
    for one in found:
        used = one.typical
        shown.add_row(
            styled("[cyan]{}[/]", one.name),
            f"{used['settles']:,}" if "settles" in used else "-",
            duration(used["seconds"]) if "seconds" in used else "-",
            time_told(one.seconds),
            f"{float(one.energy.mean()):.8g}",
            f"{float(one.residual.max()):.1e}",
            "-" if one.apart is None else f"{one.apart:.1e}",
        )
    print_wide(shown)
    out.print()
    for one in found:
        serial = f" ({one.facts['serial']})" if "serial" in one.facts else ""
        out.print(styled("{}{}: {}", one.name, serial, in_words(one.usage) if one.usage else "says nothing of its use"))
    out.print(
        styled(
            "[dim]settles and times: of this phase of the whole batch, median of {}; residual: at the couplings that it"
            " holds; between repeats: how far a unit is from its state of the first one.[/]",
            facts["repeats"],
        )
    )
