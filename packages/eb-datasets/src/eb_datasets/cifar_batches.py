"""CIFAR as published: pickled batches {data: (N, 3072) bytes, LABELS: [N]}, some for training, one for testing.

A row of `data` is the red, then the green, then the blue plane, each row by row: (3, 32, 32). The functions that read
files run in a process of their own: a pickle and an archive can each ask for all time and all memory.

References: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
"""

import tarfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from eb_datasets.plain_pickle import PickledArray, load_plain

SHAPE: Final = (3, 32, 32)


@attrs.frozen
class Layout:
    """What the batches of a set are called and what is in them.

    Args:
        folder: name of the folder that holds them, in the archive too.
        training: names of the training batches, in order.
        test: name of the test batch.
        labels: name of the list of labels inside a batch.
        classes: labels go from 0 to one less.
    """

    folder: str
    training: tuple[str, ...]
    test: str
    labels: str
    classes: int

    @property
    def batches(self) -> tuple[str, ...]:
        """Names of all batches, that of the test batch last."""
        return (*self.training, self.test)


Pair = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels (N, 3, 32, 32) and their labels (N,)."""


def read_batch(path: Path, **layout: Any) -> Pair:
    """One batch from a file of its own; `layout` holds the fields of a `Layout`."""
    with path.open("rb") as stream:
        return parse_batch(stream, Layout(**layout))


def read_archive(path: Path, **layout: Any) -> list[NDArray[Any]]:
    """Pixels and labels of each batch in turn from a .tar.gz, read from beginning to end; nothing is unpacked.

    Raises:
        ValueError: a batch is missing or wrong.
    """
    plan = Layout(**layout)
    batches: dict[str, Pair] = {}
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            place = PurePosixPath(member.name)
            wanted = place.parent.name == plan.folder and place.name in plan.batches
            stream = archive.extractfile(member) if wanted else None
            if stream is not None:
                batches[place.name] = parse_batch(stream, plan)
    missing = [name for name in plan.batches if name not in batches]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    return [array for name in plan.batches for array in batches[name]]


def parse_batch(stream: Any, layout: Layout) -> Pair:
    """One batch.

    Raises:
        ValueError: not a pickle of plain arrays, or without pixels and as many labels.
    """
    binary: BinaryIO = stream
    content = load_plain(binary)
    entries = content if isinstance(content, dict) else {}
    data, labels = (entries.get(name.encode(), entries.get(name)) for name in ("data", layout.labels))
    if not (isinstance(data, PickledArray) and isinstance(labels, list)):
        raise ValueError(f"it holds no array 'data' with a list '{layout.labels}'")
    pixels = data.values
    if pixels.ndim != 2 or pixels.shape[1] != np.prod(SHAPE) or len(pixels) == 0:
        raise ValueError(f"its data have the shape {pixels.shape}, expected is (N, {np.prod(SHAPE)})")
    if len(labels) != len(pixels):
        raise ValueError(f"it holds {len(pixels):,} images and {len(labels):,} labels")
    if not all(type(label) is int and 0 <= label < layout.classes for label in labels):
        raise ValueError(f"its labels are not all whole numbers from 0 to {layout.classes - 1}")
    return pixels.reshape(-1, *SHAPE), np.array(labels, dtype=np.int64)
