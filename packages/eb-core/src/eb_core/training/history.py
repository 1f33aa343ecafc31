"""What many runs say together: one line for each, and what differs between them. Reading it needs no torch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from eb_core.learning.usage import together
from eb_core.registry import UsageError
from eb_core.training.manifest import MANIFEST, read_manifest, read_metrics, status_of


@attrs.frozen
class RunSummary:
    """A run in one line.

    Args:
        path: its directory.
        status: finished, running, interrupted, failed, killed, or `damaged` if its manifest or metrics cannot be read.
        recipe: its resolved settings by section.
        metrics: one record per finished epoch.
        best_epoch: whose weights were selected; None if it did not get that far.
        test: loss and accuracy on the test split; None if it did not get that far.
        usage: what it used of a device, by name; nothing of a simulation.
        start: name of the run whose weights it began with; None if they were fresh.
    """

    path: Path
    status: str
    recipe: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()
    best_epoch: int | None = None
    test: Mapping[str, Any] | None = None
    usage: Mapping[str, float] = attrs.field(factory=dict)
    start: str | None = None

    @property
    def name(self) -> str:
        """Name of the directory."""
        return self.path.name

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.metrics)

    @property
    def validation(self) -> float | None:
        """The best accuracy on the validation split."""
        scores = [record["validation"]["accuracy"] for record in self.metrics if "validation" in record]
        return max(scores, default=None)

    def chosen(self, kind: str, option: str = "name") -> Any:
        """A value of the recipe, or None."""
        return self.recipe.get(kind, {}).get(option)

    def record(self) -> dict[str, Any]:
        """Plain values, for a machine."""
        kinds = ("model", "dataset", "relaxer", "backend", "rule")
        return {
            "name": self.name,
            "path": str(self.path),
            "status": self.status,
            **{kind: self.chosen(kind) for kind in kinds},
            "seed": self.chosen("trainer", "seed"),
            "epochs": self.epochs,
            "of": self.chosen("trainer", "epochs"),
            "best_epoch": self.best_epoch,
            "validation": self.validation,
            "test": self.test["accuracy"] if self.test else None,
            "usage": dict(self.usage),
            "start": self.start,
        }


def summarise(path: Path) -> RunSummary:
    """The run in a directory.

    Raises:
        UsageError: it holds none, or a damaged one.
    """
    path = Path(os.path.abspath(path))
    manifest = read_manifest(path)
    metrics = tuple(read_metrics(path))
    so_far: Mapping[str, float] = {}
    for record in metrics:
        so_far = together(so_far, record.get("usage", {}))
    return RunSummary(
        path,
        status_of(manifest),
        manifest["recipe"],
        metrics,
        manifest.get("best_epoch"),
        manifest.get("test"),
        manifest.get("usage") or so_far,
        Path(manifest["start"]["path"]).name if manifest.get("start") else None,
    )


def find_runs(folder: Path) -> list[RunSummary]:
    """All runs in a folder, oldest first; one whose manifest or metrics cannot be read is listed as damaged.

    Raises:
        UsageError: there is no such folder.
    """
    try:
        entries = sorted(entry.path for entry in os.scandir(folder))
    except OSError as error:
        raise UsageError(
            f"no folder {folder}: {error.strerror}", origin="FOLDER", advice="give the --out folder of 'eb train'"
        ) from None
    found = []
    for path in map(Path, entries):
        try:
            os.lstat(path / MANIFEST)
            found.append(summarise(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UsageError):
            found.append(RunSummary(Path(os.path.abspath(path)), "damaged"))
    return found


def differing(runs: Sequence[RunSummary]) -> dict[str, list[Any]]:
    """`section.option` -> its value in each run, for what is not the same in all; None where a run has no such option.

    The name of a section comes first, then its options.
    """
    keys: dict[tuple[str, str], None] = {}
    for run in runs:
        keys |= {(section, option): None for section, table in run.recipe.items() for option in table}
    sections = list(dict.fromkeys(section for section, _ in keys))
    ordered = sorted(keys, key=lambda key: (sections.index(key[0]), key[1] != "name"))
    rows = {f"{section}.{option}": [run.chosen(section, option) for run in runs] for section, option in ordered}
    return {key: values for key, values in rows.items() if any(value != values[0] for value in values)}
