"""What a training looks like: a bar that moves with every batch, a line for every epoch, a summary."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from eb_core.training.evaluation import Score
from eb_core.training.execute import TrainingResult
from eb_core.training.report import EpochReport, NewAdvice

_BLOCKS = "▁▂▃▄▅▆▇█"


class TrainingView:
    """An observer that draws on a console; a context manager."""

    def __init__(self, console: Console, epochs: int, title: str) -> None:
        self._console = console
        self._epochs = epochs
        self._title = title
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("batches"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("loading data", total=None)
        self._headed = False
        self._advice = NewAdvice()

    def __enter__(self) -> Self:
        self._console.print(self._title)
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def batch(self, epoch: int, done: int, total: int) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            description=f"epoch {epoch + 1}/{self._epochs}",
            total=total * self._epochs,
            completed=epoch * total + done,
        )

    def epoch(self, report: EpochReport) -> None:
        """Print one line, under a heading the first time."""
        if not self._headed:
            self._headed = True
            self._console.print(
                "[bold]epoch   train loss    acc    validation loss    acc    "
                "settling free / nudged   at wall   seconds[/]"
            )
        health = report.health
        late = [share for share in (health.unconverged, health.nudged_unconverged) if share]
        note = f"  [yellow]{max(late):.0%} unsettled[/]" if late and max(late) >= 0.005 else ""
        nudged = "   -" if health.nudged_steps is None else f"{health.nudged_steps:4.1f}"
        saturated = "   -" if health.saturated is None else f"{health.saturated:4.0%}"
        self._console.print(
            f"{report.epoch:5d}   {_score(report.train)}   {_score(report.validation):>23}   "
            f"{health.steps:10.1f} / {nudged} steps   {saturated:>7}   {report.seconds:7.1f}{note}"
        )
        for line in self._advice.of(report):
            self._console.print(f"        [yellow]advice:[/] {escape(line)}")


def _score(score: Score | None) -> str:
    return "-" if score is None else f"{score.loss:10.4f} {score.accuracy:7.2%}"


def show_summary(console: Console, result: TrainingResult) -> None:
    """The outcome, the curve in one line, and what to do next."""
    scores = [report.validation or report.train for report in result.reports]
    which = "validation" if result.reports[-1].validation else "training"
    if console.is_terminal:  # elsewhere the bar has left a blank line already
        console.print()
    console.print(
        f"{which} accuracy {sparkline([score.accuracy for score in scores])}  weights of epoch {result.best_epoch}"
    )
    if result.test:
        wrong = round((1 - result.test.accuracy) * result.test.samples)
        console.print(
            f"[bold green]test accuracy {result.test.accuracy:.2%}[/]  ({wrong} of {result.test.samples} wrong, "
            f"never looked at before)"
        )
    if result.path:
        path = escape(str(result.path))
        console.print(f"run           {path}")
        console.print(f"again         eb train --recipe {path}/recipe.toml", soft_wrap=True)
        console.print(f"evaluate      eb evaluate {path}", soft_wrap=True)


def sparkline(values: list[float]) -> str:
    """Values as block characters between the smallest and the largest one."""
    low, high = min(values), max(values)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in values)
