"""The tables of `eb relax`, and the same as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from eb_core.cli.render import out, print_wide, table
from eb_core.cli.terminal import styled
from eb_core.diagnostics.side_by_side import ELSEWHERE, TOLERANCES, Way


def record(ways: Sequence[Way], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values: `facts`, and for each relaxer what it reached and its curves."""
    return {**facts, "relaxers": [{"name": way.name, **_reached(way)} for way in ways]}


def _reached(way: Way) -> dict[str, Any]:
    counts = {f"{tolerance:g}": way.iterations_to(tolerance) for tolerance in TOLERANCES}
    return {
        "seconds": way.seconds,
        "iterations_to": counts,
        "seconds_to": {key: None if count is None else way.seconds_at(count) for key, count in counts.items()},
        "energy": float(way.energy[-1].mean()),
        "residual": float(way.residual[-1].max()),
        "distance": float(way.distance.max()),
        "elsewhere": float((~(way.distance <= ELSEWHERE)).double().mean()),
        "curves": {"energy": way.energy.mean(1).tolist(), "residual": way.residual.amax(1).tolist()},
    }


def heading(facts: Mapping[str, Any]) -> str:
    """What settles, in one line."""
    phase = f"nudged phase, beta {facts['beta']:g}" if facts["beta"] else "free phase"
    steps = f"{facts['steps']} iterations, " if "steps" in facts else ""
    model, energy, samples, data, dtype, seed = (
        facts[name] for name in ("model", "energy", "samples", "data", "dtype", "seed")
    )
    return f"{model}, energy {energy}, {samples} samples of {data}, {phase}, {steps}{dtype}, seed {seed}"


def show(ways: Sequence[Way], facts: Mapping[str, Any]) -> None:
    """Print how soon each residual is reached, then where everything ended."""
    out.print(styled("[dim]{}[/]", heading(facts)))
    for note in facts["notes"]:
        out.print(styled("[yellow]note:[/] {}", note))
    out.print(styled("\n[bold]iterations and time until every sample has this residual[/]"))
    soon = table("relaxer", *(f"{tolerance:.0e}" for tolerance in TOLERANCES))
    for way in ways:
        soon.add_row(styled("[cyan]{}[/]", way.name), *(_when(way, tolerance) for tolerance in TOLERANCES))
    print_wide(soon)
    what = "F = E + beta C" if facts["beta"] else "E"
    out.print(styled("\n[bold]after {} iterations[/]", facts["steps"]))
    ended = table("relaxer", "time", f"mean {what}", "largest residual", "farthest from the best", "samples elsewhere")
    for way in ways:
        ended.add_row(
            styled("[cyan]{}[/]", way.name),
            time_told(way.seconds),
            f"{float(way.energy[-1].mean()):.8g}",
            f"{float(way.residual[-1].max()):.1e}",
            f"{float(way.distance.max()):.1e}",
            f"{float((~(way.distance <= ELSEWHERE)).double().mean()):.0%}",
        )
    print_wide(ended)
    out.print(
        styled(
            "\n[dim]best: of each sample the state of lowest energy; elsewhere: more than {} from it. "
            "Times: median of {}, without trace.[/]",
            f"{ELSEWHERE:g}",
            facts["repeats"],
        )
    )


def _when(way: Way, tolerance: float) -> str | Text:
    count = way.iterations_to(tolerance)
    return "-" if count is None else styled("{}  [dim]{}[/]", count, time_told(way.seconds_at(count)))


def time_told(seconds: float) -> str:
    """A wall time."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"
