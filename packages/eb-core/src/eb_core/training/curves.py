"""Learning curves: loss and accuracy on the training and validation splits against the epoch, one colour per run."""

import os
from collections.abc import Sequence
from pathlib import Path

from eb_core.registry import UsageError
from eb_core.registry.wording import visible
from eb_core.training.history import RunSummary
from eb_core.training.targets import check_file

ENDINGS = (".svg", ".png")


def check_plot(file: Path) -> None:
    """Refuse a file that could not be drawn, before any work starts.

    Raises:
        UsageError: another ending than .svg or .png, no such folder, a file that cannot be written, or no matplotlib.
    """
    if file.suffix not in ENDINGS:
        raise UsageError(
            f"curves cannot be drawn as '{file.name}'", origin=f"--plot {file}", advice="end it in .svg or .png"
        )
    if not os.path.isdir(file.absolute().parent):
        raise UsageError(f"no folder {file.absolute().parent}", origin=f"--plot {file}", advice="make it first")
    check_file(file, "the plot", f"--plot {file}")
    try:
        import matplotlib  # noqa: F401, PLC0415 - an extra; its absence is this check's business
    except ImportError as error:
        raise UsageError(
            f"curves need matplotlib: {error}", origin="--plot", advice="pip install 'eb-core[plot]'"
        ) from None


def plot_curves(runs: Sequence[RunSummary], file: Path) -> None:
    """Draw the curves of `runs` into `file`: training dashed, validation solid.

    Raises:
        UsageError: see `check_plot`; or the file cannot be written.
    """
    check_plot(file)
    import matplotlib  # noqa: PLC0415
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, measure in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for index, run in enumerate(runs):
            for split, style in (("train", "--"), ("validation", "-")):
                points = [(one["epoch"], one[split][measure]) for one in run.metrics if split in one]
                if points:
                    label = f"{visible(run.name)}, {split}" if measure == "accuracy" else None
                    axes.plot(*zip(*points, strict=True), style, color=f"C{index % 10}", marker=".", label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(measure)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    if any(run.metrics for run in runs):
        figure.legend(loc="outside lower center", fontsize="small")
    try:
        with matplotlib.rc_context({"svg.hashsalt": "eb", "svg.fonttype": "none"}):
            figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    except OSError as error:
        raise UsageError(f"the curves cannot be written: {error}", origin=f"--plot {file}") from None
