"""Going on with a run that was stopped or killed, in its own directory, bit for bit as if it had never stopped."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import tomli
import torch

from eb_core.registry import Configuration, Registry, UsageError
from eb_core.registry.recipes import TRAINER
from eb_core.things.data import Data, Dataset
from eb_core.training.asked import data_of, observers_of, path_of, registry_of
from eb_core.training.checkpoint import Checkpoint
from eb_core.training.execute import TrainingResult, execute, threads
from eb_core.training.manifest import CHECKPOINT, RECIPE, is_written_by_another, read_manifest
from eb_core.training.prepare import configure
from eb_core.training.report import Observer
from eb_core.training.runs import Run, machine, plugins_of
from eb_core.training.snapshot import restore
from eb_core.training.trained import written_recipe
from eb_core.training.trainer import Trainer


@attrs.frozen(eq=False)
class Stopped:
    """A run that can go on.

    Args:
        checkpoint: where it stands; None if it was killed before the first one and begins at the beginning.
        differences: what is not as it was, in words; the numbers may come out differently in their last bits.
    """

    path: Path
    manifest: dict[str, Any]
    configuration: Configuration
    checkpoint: Checkpoint | None
    differences: tuple[str, ...]

    @property
    def position(self) -> dict[str, int]:
        """Epochs finished, and batches done of the next one."""
        return self.checkpoint.position if self.checkpoint else {"epochs": 0, "batches": 0}


def resume(
    path: str | Path,
    *,
    data: Data | None = None,
    data_dir: Path | None = None,
    observers: Sequence[Observer] = (),
    registry: Registry | None = None,
) -> TrainingResult:
    """Go on with the run in the directory `path`; the command `eb train --resume` as a function.

    On the same CPU, with the same number of threads and the same versions, weights, metrics and manifest come out
    equal, bit for bit, to those of a run that was never stopped. Where one of these differs, a warning names it.

    Args:
        data: the same own tensors again, for a run that was trained on some.
        data_dir: folder with data files.

    Raises:
        UsageError: no run, a finished one, one that another process is writing, a checkpoint that is damaged or of
            another recipe or network, or other data.
        RunError: training failed.
    """
    observers, data = observers_of(observers), None if data is None else data_of(data)
    stopped = find_stopped(path_of(path, "resume"), registry_of(registry))
    for difference in stopped.differences:
        warnings.warn(difference, stacklevel=2)
    return go_on(stopped, data=data, data_dir=data_dir, observers=observers)


def find_stopped(path: Path, registry: Registry) -> Stopped:
    """Read a run directory, and refuse what cannot go on, before any data is loaded."""
    manifest = read_manifest(path)
    if manifest.get("status") == "finished":
        raise UsageError(
            f"{path} has finished: there is nothing to resume",
            origin="--resume",
            advice=f"train it once more in a new directory: eb train --recipe {path / RECIPE}",
        )
    if is_written_by_another(manifest):
        process = manifest["process"]
        raise UsageError(
            f"{path} is being written by process {process['pid']} on {process['host']}",
            origin="--resume",
            advice="wait for it or stop it first",
        )
    layer = written_recipe(path)
    recipe = tomli.loads((path / RECIPE).read_text(encoding="utf-8"))
    file = path / CHECKPOINT
    checkpoint = Checkpoint.read(file) if file.exists() else None
    then = checkpoint.plain["recipe"] if checkpoint else manifest["recipe"]
    if recipe != then:
        changed = [
            f"[{section}] {name}"
            for section in sorted({*recipe, *then})
            for name in sorted({*recipe.get(section, {}), *then.get(section, {})})
            if recipe.get(section, {}).get(name) != then.get(section, {}).get(name)
        ]
        raise UsageError(
            f"the run began with another recipe; different are {', '.join(changed)}",
            origin=str(path / RECIPE),
            advice="put the values of manifest.json back, or start a new run: eb train --recipe …",
        )
    configuration = configure(registry, [layer])
    return Stopped(path, manifest, configuration, checkpoint, _differences(manifest, configuration, registry))


def go_on(
    stopped: Stopped,
    *,
    data: Data | None = None,
    data_dir: Path | None = None,
    observers: Sequence[Observer] = (),
    predictions: bool = False,
) -> TrainingResult:
    """Load the data, put the trainer where the checkpoint says, and train on."""
    configuration, path = stopped.configuration, stopped.path
    with threads(configuration[TRAINER].threads):
        if data is None:
            dataset: Dataset = configuration["dataset"]
            data = dataset.load(data_dir)
        then = stopped.manifest["data"]["checksum"]
        if data.checksum() != then:
            raise UsageError(
                f"the data differs from what the run began with ({data.checksum()}, then {then})",
                origin=f"{path / RECIPE} [dataset]",
                advice="bring back the files of that time, or start a new run",
            )
        trainer = Trainer(configuration, data)
        with trainer.session:
            if stopped.checkpoint:
                restore(trainer, stopped.checkpoint, path / CHECKPOINT)
            note = {"from": stopped.position, "differences": list(stopped.differences)}
            run = Run.reopen(path, trainer.reports, **note)
            if predictions:
                run.update(predictions=True)
            return execute(trainer, configuration, run, observers)


def _differences(manifest: dict[str, Any], configuration: Configuration, registry: Registry) -> tuple[str, ...]:
    """What of machine and plugins is not as the manifest says."""
    now = {**machine(), "threads": configuration[TRAINER].threads or torch.get_num_threads()}
    pairs = [
        (name, manifest.get("machine", {}).get(name), now[name])
        for name in ("threads", "processor", "gpu", "torch", "eb-core")
    ]
    before = {one["distribution"]: one["version"] for one in manifest.get("plugins", [])}
    after = {one["distribution"]: one["version"] for one in plugins_of(registry)}
    pairs += [(name, version, after.get(name)) for name, version in before.items()]
    return tuple(
        f"{name} was {old} when the run began and is {new} now: the last bits may differ"
        for name, old, new in pairs
        if old != new
    )
