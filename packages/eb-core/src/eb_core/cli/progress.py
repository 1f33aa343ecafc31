"""What a training looks like: a bar that moves with every batch, a line for every epoch, a summary."""

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from eb_core.cli.terminal import Terminal, styled
from eb_core.learning.usage import in_words
from eb_core.registry.commands import command
from eb_core.registry.wording import shortened
from eb_core.training.evaluation import Score
from eb_core.training.execute import TrainingResult
from eb_core.training.manifest import RECIPE, read_manifest
from eb_core.training.report import EpochReport, NewAdvice

_BLOCKS = "▁▂▃▄▅▆▇█"


class TrainingView:
    """An observer that draws on a console; a context manager."""

    def __init__(self, console: Terminal, epochs: int, title: Text) -> None:
        self._console = console
        self._epochs = epochs
        self._title = title
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("batches", markup=False),
            TimeElapsedColumn(),
            TextColumn("left:", markup=False),
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
            settling = "  device seconds" if report.usage else "settling free / nudged"
            head = "[bold]epoch   train loss    acc    validation loss    acc    {}   at wall   seconds[/]"
            self._console.print(styled(head, settling))
        health = report.health
        late = [share for share in (health.unconverged, health.nudged_unconverged) if share]
        note = f"  {max(late):.0%} unsettled" if late and max(late) >= 0.005 else ""
        nudged = "   -" if health.nudged_steps is None else f"{health.nudged_steps:4.1f}"
        free = "-" if health.steps is None else f"{health.steps:.1f}"
        saturated = "   -" if health.saturated is None else f"{health.saturated:4.0%}"
        settling = f"{report.usage.get('seconds', 0):16.3g}" if report.usage else f"{free:>10} / {nudged} steps"
        line = (
            f"{report.epoch:5d}   {_score(report.train)}   {_score(report.validation):>23}   "
            f"{settling}   {saturated:>7}   {report.seconds:7.1f}"
        )
        self._console.print(styled("{}[yellow]{}[/]", line, note))
        for advice in self._advice.of(report):
            self._console.print(styled("        [yellow]advice:[/] {}", advice))

    def notice(self, text: str) -> None:
        """Print it."""
        self._console.print(styled("[yellow]note:[/] {}", shortened(text)))


def _score(score: Score | None) -> str:
    return "-" if score is None else f"{score.loss:10.4f} {score.accuracy:7.2%}"


def show_summary(console: Terminal, result: TrainingResult, data_dir: Path | None = None) -> None:
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
        accuracy = styled("[bold green]test accuracy {}[/]", f"{result.test.accuracy:.2%}")
        console.print(accuracy + f"  ({wrong} of {result.test.samples} wrong, never looked at before)")
    if result.usage:
        console.print(f"used          {in_words(result.usage)}")
    if result.path:
        more = (*(() if data_dir is None else ("--data-dir", data_dir)), *result.configuration.vouch)
        console.print(f"run           {result.path}")
        begun = read_manifest(result.path).get("start")
        again = (*(("--from", begun["path"]) if begun else ()), "--recipe", result.path / RECIPE)
        console.print("again         " + command("eb", "train", *again, *more))
        console.print("evaluate      " + command("eb", "evaluate", result.path, *more))


def sparkline(values: list[float]) -> str:
    """Values as block characters between the smallest and the largest one."""
    low, high = min(values), max(values)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in values)
