"""The picture of `eb relax`: energy and residual against iterations and against seconds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eb_core.cli.figures import save
from eb_core.diagnostics.side_by_side import Way

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = 1e-16


def draw(ways: Sequence[Way], facts: Mapping[str, Any], path: Path) -> None:
    """Write an SVG or PNG, by the file's ending.

    The energy is drawn as its mean distance above the lowest one that any relaxer had of the same sample.

    Raises:
        UsageError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    lowest = torch.stack([way.energy.nan_to_num(nan=torch.inf).amin(0) for way in ways]).amin(0)
    figure = Figure(figsize=(10, 7), layout="constrained")
    grid = figure.subplots(2, 2, sharey="row")
    for index, way in enumerate(ways):
        counts = list(range(len(way.energy)))
        gap = (way.energy - lowest).mean(1).clamp(min=FLOOR).tolist()
        clock = [1e3 * way.seconds_at(count) for count in counts]
        for column, places in enumerate([[float(count) for count in counts], clock]):
            _line(grid[0][column], places, gap, index, way.name)
            _line(grid[1][column], places, way.residual.amax(1).tolist(), index, way.name)
            grid[1][column].semilogy(places, way.residual.median(1).values.tolist(), ":", color=f"C{index % 10}", lw=1)
    what = "F" if facts["beta"] else "E"
    grid[0][0].set_ylabel(f"mean {what} above the lowest")
    grid[1][0].set_ylabel("residual: largest (line), median (dots)")
    for row in grid:
        row[0].set_xlabel("iterations")
        row[1].set_xlabel("milliseconds")
        for axes in row:
            axes.grid(visible=True, linewidth=0.3)
    grid[0][0].legend(fontsize=7)
    phase = f"nudged, beta {facts['beta']:g}" if facts["beta"] else "free"
    figure.suptitle(
        f"{facts['model']}, energy {facts['energy']}, {facts['samples']} samples of {facts['data']}, {phase} phase",
        fontsize=9,
    )
    save(figure, path)


def _line(axes: "Axes", x: Sequence[float], y: Sequence[float], index: int, label: str) -> None:
    axes.semilogy(x, y, color=f"C{index % 10}", lw=1.3, label=label)
