"""Relative error against beta, one line per rule and net: the picture of `eb check`."""

import re
from pathlib import Path

from eb_core.registry import UsageError
from eb_core.testing.measure import Finding

_AT_BETA = re.compile(r"relative error at beta (.+)")


def draw(findings: list[Finding], path: Path) -> None:
    """Write an SVG or PNG (by the file's ending) with the error curves among `findings`.

    Raises:
        UsageError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "plots need matplotlib", origin=f"--plot {path}", advice="pip install 'eb-core[plot]'"
        ) from None
    curves: dict[str, list[tuple[float, float]]] = {}
    for one in findings:
        match = _AT_BETA.fullmatch(one.what)
        if match:
            curves.setdefault(f"{one.subject.removeprefix('rule ')}, {one.net}", []).append(
                (float(match[1]), one.value)
            )
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    axes = figure.add_subplot()
    for label, points in curves.items():
        betas, errors = zip(*sorted(points), strict=True)
        axes.loglog(betas, errors, marker="o", linewidth=1.2, label=label)
    axes.set_xlabel("beta")
    axes.set_ylabel("relative error against the exact gradient")
    axes.grid(visible=True, which="both", linewidth=0.3)
    if curves:
        axes.legend(fontsize=7)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the plot cannot be written: {error}", origin=f"--plot {path}", advice="end it in .svg or .png"
        ) from None
