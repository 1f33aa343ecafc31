"""The picture of `eb check`: error against beta, and EP beside truncated BPTT along the nudged phase."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eb_core.cli.figures import save
from eb_core.diagnostics.measure import Finding
from eb_core.diagnostics.truncated import Truncation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AT_BETA = re.compile(r"relative error at beta (.+)")


def draw(findings: Sequence[Finding], curves: Sequence[Truncation], path: Path) -> None:
    """Write an SVG or PNG (by the file's ending): one panel for rules, one for the relaxers of each energy.

    Raises:
        UsageError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    physics: dict[str, list[Truncation]] = {}
    for curve in curves:
        physics.setdefault(curve.subject.rpartition(" on ")[2], []).append(curve)
    errors = _errors(findings)
    panels = (1 if errors else 0) + len(physics)
    columns = min(max(panels, 1), 2)
    rows = -(-max(panels, 1) // columns)
    figure = Figure(figsize=(6.2 * columns, 4.4 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[panels:]:
        unused.set_axis_off()
    if errors:
        _draw_errors(axes.pop(0), errors)
    for (energy, group), part in zip(physics.items(), axes, strict=False):
        _draw_truncated(part, energy, group)
    save(figure, path)


def _errors(findings: Sequence[Finding]) -> dict[str, dict[float, float]]:
    """Subject -> beta -> the largest error over its nets."""
    found: dict[str, dict[float, float]] = {}
    for one in findings:
        match = _AT_BETA.fullmatch(one.what)
        if match:
            curve = found.setdefault(one.subject.removeprefix("rule "), {})
            curve[float(match[1])] = max(one.value, curve.get(float(match[1]), 0.0))
    return found


def _draw_errors(axes: "Axes", errors: dict[str, dict[float, float]]) -> None:
    for index, (label, curve) in enumerate(errors.items()):
        style = ("-", "--", ":")[index // 10 % 3]
        axes.loglog(sorted(curve), [curve[beta] for beta in sorted(curve)], style, marker="o", ms=3, lw=1, label=label)
    axes.set_xlabel("beta")
    axes.set_ylabel("relative error against the exact gradient, worst net")
    axes.grid(visible=True, linewidth=0.3)
    axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_truncated(axes: "Axes", energy: str, curves: Sequence[Truncation]) -> None:
    """Both gradients' distance from the exact one against k, on the deepest net."""
    nets = {curve.net for curve in curves}
    net = "three hidden layers" if "three hidden layers" in nets else sorted(nets)[0]
    for index, curve in enumerate(curve for curve in curves if curve.net == net):
        colour, name = f"C{index % 10}", curve.subject.removeprefix("relaxer ").rpartition(" on ")[0]
        axes.semilogy(curve.steps, curve.bptt, color=colour, lw=1, label=name)
        axes.semilogy(curve.steps, curve.ep, "o", color=colour, ms=4, mfc="none")
    axes.set_title(f"{energy}, {net}: truncated BPTT (lines) and EP (circles)", fontsize=9)
    axes.set_xlabel("iterations k, differentiated or nudged")
    axes.set_ylabel("relative distance from the exact gradient")
    axes.grid(visible=True, linewidth=0.3)
    axes.legend(fontsize=6, loc="lower left")
