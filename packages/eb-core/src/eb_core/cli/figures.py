"""A figure to a file: the same bytes for the same data, and one clear error where it cannot be written."""

from pathlib import Path
from typing import TYPE_CHECKING

from eb_core.registry import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: "Figure", path: Path) -> None:
    """Write an SVG or PNG, by the file's ending; `check_plot` has looked at both before the work began.

    Raises:
        UsageError: the file cannot be written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    try:
        with matplotlib.rc_context({"svg.hashsalt": "eb", "svg.fonttype": "none"}):
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise UsageError(f"the plot cannot be written: {error}", origin=f"--plot {path}") from None
