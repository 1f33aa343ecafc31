"""One directory per run, never overwritten, every file written atomically.

manifest.json           what ran, with what, where each setting came from, and how it ended
recipe.toml             reproduces the run: eb train --recipe recipe.toml
metrics.jsonl           one line per epoch
checkpoint.safetensors  where it stands; gone once the run has finished
weights.safetensors     the selected weights, written at the end
start.safetensors       the weights that it began with, where they are those of another run
predictions.npz         labels, predicted classes and read-outs of the test split, on request
"""

import contextlib
import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from eb_core.registry import Configuration, Registry, RunError, UsageError
from eb_core.registry.commands import command
from eb_core.training.finite import all_finite
from eb_core.training.lock import LOCK, held
from eb_core.training.manifest import (
    CHECKPOINT,
    FORMAT,
    MANIFEST,
    METRICS,
    RECIPE,
    WEIGHTS,
    read_manifest,
    this_process,
)
from eb_core.training.report import EpochReport
from eb_core.training.sealed import Sealed
from eb_core.training.targets import check_folder

OF_THE_END: Final = ("ended", "reason", "weights", "best_epoch", "test")


class Run:
    """A run directory being written; watches a training as an observer.

    Args:
        path: made by `Run.create`, or existing.
        manifest: what it says so far.

    Attributes:
        again: the command that goes on with it.
    """

    def __init__(self, path: Path, manifest: dict[str, Any] | None = None) -> None:
        self.path = path
        self.again = command("eb", "train", "--resume", path)
        self.manifest: dict[str, Any] = manifest or {"format": FORMAT, "status": "running"}

    @classmethod
    @contextlib.contextmanager
    def create(cls, folder: Path, label: str) -> Iterator["Run"]:
        """A new directory in `folder`, held for the time of the block; removed again if `begin` is not reached.

        Raises:
            UsageError: the folder cannot be written.
        """
        path = cls._new_directory(folder, label)
        try:
            with held(path):
                yield cls(path)
        finally:
            if not (path / MANIFEST).exists():
                shutil.rmtree(path, ignore_errors=True)

    @staticmethod
    def _new_directory(folder: Path, label: str) -> Path:
        """A directory named by time and `label`."""
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        for attempt in range(1000):
            path = folder / (f"{stamp}-{label}" + (f"-{attempt}" if attempt else ""))
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if folder.exists() and not folder.is_dir():
                    break
                continue
            except OSError as error:
                raise UsageError(
                    f"the output folder cannot be written: {error}", origin=f"--out {folder}", advice="choose another"
                ) from None
            return path
        raise UsageError(f"the output folder cannot be used: {folder}", origin="--out", advice="choose another")

    @staticmethod
    def check_folder(folder: str | Path) -> None:
        """Refuse a folder in which no run could be written, before any work starts; leaves nothing behind.

        Raises:
            UsageError: it, or the nearest folder above it that exists, is no writable directory.
        """
        check_folder(folder, "--out")

    def begin(self, configuration: Configuration, registry: Registry, facts: dict[str, Any]) -> None:
        """Write recipe and manifest: components, origins, plugin versions, machine, and `facts` about the data."""
        self.again = command("eb", "train", "--resume", self.path, *configuration.vouch)
        self.write(RECIPE, configuration.to_toml().encode())
        self.manifest |= {
            "process": this_process(),
            "started": _now(),
            "recipe": configuration.table(),
            "origins": configuration.origins(),
            "notes": list(configuration.notes),
            "plugins": plugins_of(registry),
            "machine": machine(),
            **facts,
        }
        self.update()

    @classmethod
    def reopen(cls, path: Path, configuration: Configuration, reports: Sequence[EpochReport], **note: Any) -> "Run":
        """A run that goes on after `reports`: later lines of the metrics are dropped, the manifest notes `note`.

        What the manifest says of the end before is dropped, too.
        """
        manifest = read_manifest(path)
        run = cls(path, {key: value for key, value in manifest.items() if key not in OF_THE_END})
        run.again = command("eb", "train", "--resume", path, *configuration.vouch)
        for left_over in path.glob(".*.*.part"):
            if left_over.is_file():
                left_over.unlink(missing_ok=True)
        run.write(METRICS, "".join(json.dumps(report.record()) + "\n" for report in reports).encode())
        resumed = [*manifest.get("resumed", []), {"at": _now(), **note}]
        run.update(status="running", process=this_process(), resumed=resumed)
        return run

    def write(self, name: str, content: bytes) -> None:
        """Write one file of the directory, whole or not at all.

        Raises:
            RunError: it cannot be written; what was there before is untouched.
        """
        try:
            write_atomically(self.path / name, content)
        except OSError as error:
            raise self._unwritten(name, error) from error

    def _unwritten(self, name: str, error: OSError) -> RunError:
        saved = (self.path / CHECKPOINT).exists()
        return RunError(
            f"{name} cannot be written: {error.strerror or error}",
            origin=str(self.path / name),
            advice="the last checkpoint is intact; make room or mend the disk, then: " + self.again
            if saved
            else "make room or mend the disk, then start again",
        )

    def update(self, **facts: Any) -> None:
        """Add facts to the manifest and write it."""
        manifest = self.manifest | facts
        self.write(MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        self.manifest = manifest

    def batch(self, epoch: int, done: int, total: int) -> None:
        """Nothing is written for a batch."""

    def epoch(self, report: EpochReport) -> None:
        """Append one line to the metrics."""
        try:
            with (self.path / METRICS).open("a", encoding="utf-8") as metrics:
                metrics.write(json.dumps(report.record()) + "\n")
        except OSError as error:
            raise self._unwritten(METRICS, error) from error

    def write_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Write the weights, and keep their digest for the manifest; weights that are not finite are left out."""
        if all_finite(weights.values()):
            sealed = Sealed.of(weights)
            self.write(WEIGHTS, sealed.encode())
            self.manifest["weights"] = sealed.digest

    def finish(self, status: str, **facts: Any) -> None:
        """Write the last state of the manifest: `finished`, `interrupted` or `failed`.

        A finished run is never written again: its checkpoint and its lock go.
        """
        self.update(status=status, ended=_now(), **facts)
        if status == "finished":
            for name in (CHECKPOINT, LOCK):
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, flushed to disk, then renamed."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def plugins_of(registry: Registry) -> list[dict[str, str]]:
    """Every plugin with its version and status."""
    return [
        {"distribution": one.distribution, "version": one.version, "plugin": one.name, "status": one.status}
        for one in registry.plugins
    ]


def machine() -> dict[str, Any]:
    """What the numbers were computed on."""
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "eb-core": version("eb-core"),
    }
