"""From a trainer that is ready to a result: train, test, and leave a run directory that says how it ended."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import torch

from eb_core.registry import Configuration, EbError, RunError
from eb_core.training.evaluation import Score
from eb_core.training.manifest import CHECKPOINT, PREDICTIONS
from eb_core.training.report import EpochReport, Observer
from eb_core.training.runs import Run
from eb_core.training.snapshot import Checkpoints
from eb_core.training.trained import TrainedNet
from eb_core.training.trainer import Trainer


@attrs.frozen(eq=False)
class TrainingResult:
    """What a training gave: the net, its score on the test split, one report per epoch, the run directory."""

    net: TrainedNet
    test: Score | None
    reports: tuple[EpochReport, ...]
    best_epoch: int
    configuration: Configuration
    path: Path | None


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
            }
            run.finish("finished", trainer.network.state_dict(), **result)
        except BaseException as error:
            _record_end(run, checkpoints, trainer, error)
            raise
    net = TrainedNet(
        trainer.network,
        trainer.energy,
        trainer.rule,
        trainer.cost,
        trainer.data.classes,
        trainer.session,
        trainer.settings.seed,
    )
    test = predictions.score() if predictions else None
    return TrainingResult(
        net, test, tuple(trainer.reports), trainer.best_epoch, configuration, run.path if run else None
    )


def _record_end(run: Run, checkpoints: Checkpoints, trainer: Trainer, error: BaseException) -> None:
    """Keep the weights and say how it ended, whatever ended it."""
    stopped = isinstance(error, KeyboardInterrupt)
    reason = error.faults[0].what if isinstance(error, EbError) else f"{type(error).__name__}: {error}"
    try:
        if stopped:
            checkpoints.write()
        trainer.take_selected()
        status = "interrupted" if stopped else "failed"
        run.finish(status, trainer.network.state_dict(), reason=reason, best_epoch=trainer.best_epoch)
        error.add_note(f"{run.path} says how it ended, and holds the weights so far")
    except RunError as unwritten:
        error.add_note(f"{run.path} does not say how it ended: {unwritten.faults[0].what}")
    if stopped and (run.path / CHECKPOINT).exists():
        error.add_note(f"to go on where it stopped: eb train --resume {run.path}")


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
