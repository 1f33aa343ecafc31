"""`eb check`: measure dynamics and rules on small random nets, and say which promises hold."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import attrs
import typer
from rich.markup import escape

from eb_core.cli.choices import Options, layer_from_flags, names_of
from eb_core.cli.listing import AsJson
from eb_core.cli.render import guarded, out, print_json, table
from eb_core.registry import Registry, resolve_layers
from eb_core.registry.errors import raise_if_any

if TYPE_CHECKING:
    from eb_core.testing.measure import Finding


@guarded
def check(
    context: typer.Context,
    relaxer: Annotated[str | None, typer.Option(help="Dynamics to check.", autocompletion=names_of("relaxer"))] = None,
    energy: Annotated[str | None, typer.Option(help="Physics.", autocompletion=names_of("energy"))] = None,
    rule: Annotated[str | None, typer.Option(help="Rule to check.", autocompletion=names_of("rule"))] = None,
    cost: Annotated[str | None, typer.Option(help="Cost.", autocompletion=names_of("cost"))] = None,
    model: Annotated[
        str | None, typer.Option(help="Nets of this model instead of random wirings.", autocompletion=names_of("model"))
    ] = None,
    relaxer_opt: Options = None,
    energy_opt: Options = None,
    rule_opt: Options = None,
    cost_opt: Options = None,
    model_opt: Options = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every relaxer with c-ep, and every rule with one relaxer.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw error against beta into this .svg or .png file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure residual, stationarity, descent, and the rule's estimate against the exact gradient, in float64.

    Exit code 1 if a promise does not hold. Without options: the default relaxer and rule.
    """
    from eb_core.testing.measure import measure_relaxer, measure_rule

    registry: Registry = context.obj
    names = {"relaxer": relaxer, "energy": energy, "rule": rule, "cost": cost, "model": model}
    options = {"relaxer": relaxer_opt, "energy": energy_opt, "rule": rule_opt, "cost": cost_opt, "model": model_opt}
    kinds = ["energy", "relaxer", "rule", "cost", *(["model"] if model else [])]
    findings: list[Finding] = []
    for pair in _pairs(registry, names, everything):
        layer, faults = layer_from_flags(names | pair, options, {})
        raise_if_any(faults)
        made, faults = resolve_layers(registry, [layer], kinds)
        raise_if_any(faults)
        net = made["model"] if model else None
        label = {kind: made.sections[kind].name for kind in ("relaxer", "rule")}
        if rule is None or relaxer is not None or everything:
            findings += measure_relaxer(label["relaxer"], made["relaxer"], made["energy"], net)
        if relaxer is None or rule is not None or everything:
            subject = f"{label['rule']} with {label['relaxer']}"
            findings += measure_rule(subject, made["rule"], made["relaxer"], made["energy"], made["cost"], net)
    findings = list(dict.fromkeys(findings))
    if plot:
        from eb_core.cli.check_plot import draw

        draw(findings, plot)
    broken = [one for one in findings if one.holds is False]
    judged = sum(one.holds is not None for one in findings)
    if as_json:
        print_json({"judged": judged, "broken": len(broken), "findings": [attrs.asdict(one) for one in findings]})
    else:
        _show(findings)
        state = "[bold green]all hold[/]" if judged and not broken else f"[bold red]{len(broken)} broken[/]"
        out.print(f"\n{judged} promises judged: {state}; {len(findings) - judged} figures reported")
    if broken or not judged:
        raise typer.Exit(1)


def _pairs(registry: Registry, names: dict[str, str | None], everything: bool) -> list[dict[str, str]]:
    if not everything:
        return [{}]
    relaxers = [{"relaxer": one, "rule": "c-ep"} for one in registry.names("relaxer")]
    one_relaxer = names["relaxer"] or "hopfield"
    return relaxers + [{"relaxer": one_relaxer, "rule": one} for one in registry.names("rule") if one != "c-ep"]


def _show(findings: "list[Finding]") -> None:
    """One table for dynamics and one for rules: a row for each net, a column for each figure."""
    for family in ("relaxer", "rule"):
        part = [one for one in findings if one.subject.startswith(family)]
        if not part:
            continue
        figures = list(dict.fromkeys(one.what for one in part))
        heads = {
            what: next((one.expected for one in part if one.what == what and one.expected), "") for what in figures
        }
        shown = table(family, *(f"{_short(what)}\n[dim]{escape(heads[what])}[/]" for what in figures))
        rows: dict[tuple[str, str], dict[str, Finding]] = {}
        for one in part:
            rows.setdefault((one.subject.removeprefix(f"{family} "), one.net), {})[one.what] = one
        last = ""
        for (subject, net), row in rows.items():
            if subject != last:
                shown.add_row(f"[cyan]{escape(subject)}[/]")
            shown.add_row(
                "  " + net.removesuffix("s").removesuffix(" layer"), *(_cell(row.get(what)) for what in figures)
            )
            last = subject
        out.print(shown, "")


_HEADS = {
    "residual by autograd": "residual",
    "residual of the free state": "residual",
    "residual it reports, error": "misreport",
    "largest rise of F": "rise of F",
    "smallest curvature": "curvature",
    "distance to a kink": "kink",
    "order in beta": "order",
}


def _short(what: str) -> str:
    """A column's heading."""
    return _HEADS.get(what, what.replace("relative error at beta", "error").replace("relative error", "error"))


def _cell(one: "Finding | None") -> str:
    if one is None or (math.isnan(one.value) and "refused" not in one.what):
        return ""
    value = f"{one.value:.6f}" if one.what == "cosine" else f"{one.value:.1e}"
    if one.what in {"order in beta", "iterations"}:
        value = f"{one.value:.2f}"
    return {True: f"[green]{value}[/]", False: f"[bold red]{value} BROKEN[/]", None: value}[one.holds]
