"""Going on with a run that was stopped or killed, in its own directory, bit for bit as if it had never stopped."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from eb_core.data.data import Data
from eb_core.registry import Configuration, Registry, UsageError
from eb_core.registry.commands import command
from eb_core.registry.recipes import TRAINER
from eb_core.training.asked import data_of, observers_of, path_of, registry_of
from eb_core.training.checkpoint import Checkpoint, understood, unusable
from eb_core.training.execute import Device, TrainingResult, execute, threads
from eb_core.training.lock import held
from eb_core.training.manifest import CHECKPOINT, RECIPE, read_manifest, this_process
from eb_core.training.places import load_again
from eb_core.training.prepare import configure
from eb_core.training.report import AdviceAsWarnings, Observer, tell
from eb_core.training.runs import Run, machine, plugins_of
from eb_core.training.snapshot import restore
from eb_core.training.start import Start
from eb_core.training.trainer import Trainer
from eb_core.training.written import written_recipe


@attrs.frozen(eq=False)
class Stopped:
    """A run that can go on.

    Args:
        checkpoint: where it stands; None if it was killed before the first one and begins at the beginning.
        position: epochs finished, and batches done of the next one.
        differences: what is not as it was, in words; the numbers may come out differently in their last bits.
    """

    path: Path
    manifest: dict[str, Any]
    configuration: Configuration
    checkpoint: Checkpoint | None
    position: dict[str, int]
    differences: tuple[str, ...]


def resume(
    path: str | Path,
    *,
    data: Data | None = None,
    data_dir: Path | None = None,
    observers: Sequence[Observer] = (),
    registry: Registry | None = None,
    take_over: bool = False,
    trust: bool = False,
) -> TrainingResult:
    """Go on with the run in the directory `path`; the command `eb train --resume` as a function.

    On the same CPU, with the same number of threads and the same versions, weights, metrics and manifest come out
    equal, bit for bit, to those of a run that was never stopped. Where one of these differs, a warning names it.

    Args:
        path: the run directory.
        data: the same own tensors again, for a run that was trained on some.
        data_dir: folder with data files.
        observers: as for `train`.
        registry: where components are looked up; default: all that is installed.
        take_over: go on though the run says that another host is writing it: you know that nothing there does.
        trust: whoever made the directory may run code here: its recipe may name a class, `module:Class`.

    Raises:
        UsageError: no run, a finished one, one that is being written, a damaged one, a checkpoint of another recipe or
            network, or other data.
        RunError: training failed.
    """
    observers, data = observers_of(observers), None if data is None else data_of(data)
    caller = sys._getframe(1)
    watching = [*observers, AdviceAsWarnings(caller.f_code.co_filename, caller.f_lineno)]
    where = path_of(path, "resume")
    with find_stopped(where, registry_of(registry), trust=trust, take_over=take_over) as stopped:
        for difference in stopped.differences:
            tell(watching, difference)
        return go_on(stopped, data=data, data_dir=data_dir, observers=watching)


@contextlib.contextmanager
def find_stopped(path: Path, registry: Registry, *, trust: bool = False, take_over: bool = False) -> Iterator[Stopped]:
    """Read a run directory, and refuse what cannot go on, before any data is loaded.

    The directory is held for the time of the block, and its manifest names this process.
    """
    _unfinished(path)  # what is no run, or has finished, gets no lock
    with held(path):
        manifest = _unfinished(path)
        host = manifest["process"]["host"]
        if manifest["status"] == "running" and host != platform.node() and not take_over:
            raise UsageError(
                f"{path} says that process {manifest['process']['pid']} on {host} is writing it",
                origin="--resume",
                advice="look there; if nothing writes it any more: "
                + command("eb", "train", "--resume", path, "--take-over"),
            )
        stopped = _stopped(path, manifest, registry, trust)
        Run(path, manifest).update(process=this_process())
        yield stopped


def _unfinished(path: Path) -> dict[str, Any]:
    manifest = read_manifest(path)
    if manifest["status"] == "finished":
        raise UsageError(
            f"{path} has finished: there is nothing to resume",
            origin="--resume",
            advice="train it once more in a new directory: " + command("eb", "train", "--recipe", path / RECIPE),
        )
    return manifest


def _stopped(path: Path, manifest: dict[str, Any], registry: Registry, trust: bool) -> Stopped:
    layer = written_recipe(path, trust, ("eb", "train", "--resume"))
    recipe = {section: {name: value for name, (value, _) in table.items()} for section, table in layer.sections.items()}
    file = path / CHECKPOINT
    checkpoint = Checkpoint.read(file) if os.path.lexists(file) else None
    with understood(file):
        position = checkpoint.position if checkpoint else {"epochs": 0, "batches": 0}
        then = checkpoint.plain["recipe"] if checkpoint else manifest["recipe"]
        changed = [
            f"[{section}] {name}"
            for section in sorted({*recipe, *then})
            for name in sorted({*recipe.get(section, {}), *then.get(section, {})})
            if recipe.get(section, {}).get(name) != then.get(section, {}).get(name)
        ]
    if recipe != then:
        raise UsageError(
            f"the run began with another recipe; different are {', '.join(changed)}",
            origin=str(path / RECIPE),
            advice="put the values of manifest.json back, or start a new run: eb train --recipe …",
        )
    if checkpoint and checkpoint.plain.get("data") != manifest["data"]["checksum"]:
        raise unusable(file, "is of other data than the run")
    configuration = configure(registry, [layer])
    differences = _differences(manifest, configuration, registry)
    return Stopped(path, manifest, configuration, checkpoint, position, differences)


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
            data = load_again(configuration["dataset"], stopped.manifest, data_dir)
        then = stopped.manifest["data"]["checksum"]
        if data.checksum() != then:
            raise UsageError(
                f"the data differs from what the run began with ({data.checksum()}, then {then})",
                origin=f"{path / RECIPE} [dataset]",
                advice="bring back the files of that time, or start a new run",
            )
        trainer = Trainer(configuration, data, Start.kept(path, stopped.manifest.get("start")))
        with Device(trainer.learner, observers) as device:
            if stopped.checkpoint:
                restore(trainer, stopped.checkpoint, path / CHECKPOINT)
            trainer.used_before = _largest(trainer.used_before, stopped.manifest.get("usage") or {})
            note: dict[str, Any] = {"from": stopped.position, "differences": list(stopped.differences)}
            note |= {"device": dict(trainer.session.facts)} if trainer.session.facts else {}
            device.run = Run.reopen(path, configuration, trainer.reports, **note)
            if predictions:
                device.run.update(predictions=True)
            return execute(trainer, configuration, device.run, observers)


def _largest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Of sums that only grow, the later ones: a run that ended between two checkpoints has used more than they say."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in (*one, *(set(other) - set(one)))}


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
