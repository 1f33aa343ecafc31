"""From a trainer that is ready to a result: train, test, and leave a run directory that says how it ended."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
import torch

from eb_core.learning.session import Closable
from eb_core.registry import Configuration, EbError, RunError
from eb_core.registry.wording import told
from eb_core.training.budget import BudgetSpentError
from eb_core.training.evaluation import Score
from eb_core.training.manifest import CHECKPOINT, PREDICTIONS
from eb_core.training.report import EpochReport, Observer, tell
from eb_core.training.runs import Run
from eb_core.training.shield import signals_wait
from eb_core.training.snapshot import Checkpoints
from eb_core.training.trained import TrainedNet
from eb_core.training.trainer import Trainer


@attrs.frozen(eq=False)
class TrainingResult:
    """What a training gave: the net, its score on the test split, one report per epoch, the run directory.

    Args:
        usage: what it used of a device, by name; nothing of a simulation.
    """

    net: TrainedNet
    test: Score | None
    reports: tuple[EpochReport, ...]
    best_epoch: int
    configuration: Configuration
    path: Path | None
    usage: Mapping[str, float] = attrs.field(factory=dict)


def execute(
    trainer: Trainer, configuration: Configuration, run: Run | None, observers: Sequence[Observer]
) -> TrainingResult:
    """Train from where `trainer` stands to the end, then test; `run` is written as it goes, unless it is None.

    An exception, Ctrl-C included, leaves a run directory that says how it ended and holds the weights so far.

    Raises:
        RunError: training failed, or the run directory can no longer be written.
    """
    if run is None:
        trainer.fit(*observers)
        predictions = trainer.test()
    else:
        checkpoints = Checkpoints(run, trainer)
        try:
            trainer.fit(*observers, run, checkpoints)
            predictions = trainer.test()
            if predictions and run.manifest.get("predictions"):
                run.write(PREDICTIONS, predictions.to_npz())
            result = {
                "best_epoch": trainer.best_epoch,
                "test": attrs.asdict(predictions.score()) if predictions else None,
                **_used(trainer),
            }
            with signals_wait():
                run.write_weights(trainer.network.state_dict())
                run.finish("finished", **result)
        except BaseException as error:
            if run.manifest["status"] == "finished":  # a signal that had to wait until this was written
                error.add_note(f"{run.path} has finished")
            else:
                _record_end(run, checkpoints, trainer, error)
            raise
    net = TrainedNet.of(trainer.learner)
    test = predictions.score() if predictions else None
    path = run.path if run else None
    return TrainingResult(net, test, tuple(trainer.reports), trainer.best_epoch, configuration, path, trainer.usage)


def _used(trainer: Trainer) -> dict[str, Any]:
    """What a manifest says of the use of a device."""
    usage = dict(trainer.usage)
    return {"usage": usage} if usage else {}


def _record_end(run: Run, checkpoints: Checkpoints, trainer: Trainer, error: BaseException) -> None:
    """Keep what is finite and say how it ended, whatever ended it; another signal waits, and then adds nothing."""
    stopped = isinstance(error, KeyboardInterrupt | BudgetSpentError)
    facts = {"reason": _reason(error), "best_epoch": trainer.best_epoch, **_used(trainer)}
    steps: dict[str, Callable[[], None]] = {
        "this checkpoint": checkpoints.write,
        "the weights so far": lambda: run.write_weights(trainer.selected()),
        "how it ended": lambda: run.finish("interrupted" if stopped else "failed", **facts),
    }
    unwritten = {}
    with contextlib.suppress(KeyboardInterrupt), signals_wait():
        for what, step in steps.items():
            try:
                step()
            except Exception as other:  # noqa: BLE001 - a broken device may raise anything, and hides no other error
                unwritten[what] = _reason(other)
    if unwritten:
        error.add_note(f"{run.path} lacks {', '.join(unwritten)}: {'; '.join(dict.fromkeys(unwritten.values()))}")
    else:
        weights = "the weights so far" if "weights" in run.manifest else "no weights: none were finite"
        error.add_note(f"{run.path} says how it ended, and holds {weights}")
    if (run.path / CHECKPOINT).exists():
        whence = "where it stopped" if stopped else "from its last checkpoint, which is finite"
        error.add_note(f"to go on {whence}: {run.again}")


def _reason(error: BaseException) -> str:
    """What went wrong in one line, of exceptions that cannot say it, too; of a signal its name."""
    if isinstance(error, EbError):
        return error.faults[0].what
    if isinstance(error, KeyboardInterrupt) and str(error):
        return str(error)
    return told(error)


class Device:
    """What has opened a backend, closed at its end; an error of `close` hides neither a result nor another error.

    Attributes:
        run: its directory, as soon as there is one.
    """

    def __init__(self, opened: Closable, observers: Sequence[Observer]) -> None:
        self._opened, self._observers = opened, observers
        self.run: Run | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._opened.close()
        except (Exception, KeyboardInterrupt) as unclosed:
            notice = f"the backend could not be closed: {_reason(unclosed)}"
            if error is not None:
                error.add_note(notice)
            elif isinstance(unclosed, KeyboardInterrupt):
                raise
            else:
                if self.run:
                    with contextlib.suppress(RunError):
                        self.run.update(notices=[*self.run.manifest.get("notices", []), notice])
                tell(self._observers, notice)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """torch's CPU threads for the time of a run."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
