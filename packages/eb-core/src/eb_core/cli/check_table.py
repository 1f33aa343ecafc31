"""The tables of `eb check`: one for dynamics and one for rules, a row for each net, a column for each figure."""

import math
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from eb_core.cli.render import out
from eb_core.cli.terminal import styled
from eb_core.diagnostics.as_trained import WORST
from eb_core.diagnostics.measure import Finding

OF_THE_FREE_STATE = ("residual of the free state", "smallest curvature", "distance to a kink")
"""The same for every rule with one dynamics: shown with the rules only where broken."""

_HEADS = {
    "residual by autograd": "residual",
    "residual of the free state": "residual",
    "residual it reports, error": "misreport",
    "largest rise of F": "rise of F",
    "smallest curvature": "curvature",
    "distance to a kink": "kink",
    "order in beta": "order",
    "EP against truncated BPTT": "EP - BPTT",
    WORST: "as trained",
}


def show(findings: Sequence[Finding], seconds: Mapping[str, float]) -> None:
    """Print both tables, then what was refused.

    Args:
        findings: what was measured and what was refused, in the order of the rows.
        seconds: time of each subject.
    """
    for family in ("relaxer", "rule"):
        part = [one for one in findings if one.subject.startswith(f"{family} ") and one.net != "-"]
        if part:
            _show_family(family, part, seconds)
    for one in findings:
        if one.net == "-":
            out.print(styled("{} is [yellow]{}[/]\n", one.subject, one.what))


def _show_family(family: str, part: Sequence[Finding], seconds: Mapping[str, float]) -> None:
    broken = {one.what for one in part if one.holds is False}
    whats = [
        what
        for what in dict.fromkeys(one.what for one in part)
        if not what.startswith(f"{WORST} at")
        and (what in broken or family == "relaxer" or what not in OF_THE_FREE_STATE)
    ]
    heads = [_head(what) for what in whats]
    limits = [next((one.expected for one in part if one.what == what and one.expected), "") for what in whats]
    rows: dict[str, dict[str, list[Text]]] = {}
    for one in part:
        if one.what in whats:
            cells = rows.setdefault(one.subject, {}).setdefault(one.net, [Text()] * len(whats))
            cells[whats.index(one.what)] = _cell(one)
    first = max(len(family), *(len(net) + 2 for nets in rows.values() for net in nets))
    everyone = [cells for nets in rows.values() for cells in nets.values()]
    widths = [
        max(len(head), len(limit), *(cells[index].cell_len for cells in everyone))
        for index, (head, limit) in enumerate(zip(heads, limits, strict=True))
    ]
    _print(first, widths, [[styled("[bold]{}[/]", head) for head in (family, *heads)]])
    _print(first, widths, [["", *(styled("[dim]{}[/]", limit) for limit in limits)]])
    for subject, nets in rows.items():
        took = f"  {seconds[subject]:.1f} s" if subject in seconds else ""
        out.print(styled("[cyan]{}[/][dim]{}[/]", subject.removeprefix(f"{family} "), took))
        _print(first, widths, [[f"  {net}", *cells] for net, cells in nets.items()])
    out.print()


def _print(first: int, widths: Sequence[int], rows: Sequence[Sequence[str | Text]]) -> None:
    """Rows in columns of given widths, so that tables below one another stay aligned."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(min_width=first, no_wrap=True)
    for width in widths:
        made.add_column(min_width=width, no_wrap=True)
    for row in rows:
        made.add_row(*row)
    out.print(made)


def _head(what: str) -> str:
    """A column's heading."""
    return _HEADS.get(what, what.replace("relative error at beta", "error").replace("relative error", "error"))


def _cell(one: Finding) -> Text:
    if math.isnan(one.value):
        return Text("nan")
    value = f"{one.value:.1e}"
    if one.what in {"cosine", WORST}:
        value = f"{one.value:.6f}"
    elif one.what in {"order in beta", "iterations"}:
        value = f"{one.value:.2f}" if one.what == "order in beta" else f"{one.value:.0f}"
    return styled({True: "[green]{}[/]", False: "[bold red]{} BROKEN[/]", None: "{}"}[one.holds], value)
