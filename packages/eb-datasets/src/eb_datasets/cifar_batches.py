"""CIFAR-10 as published: pickled batches {data: (N, 3072) bytes, labels: [N]}, five for training, one for testing.

A row of `data` is the red, then the green, then the blue plane, each row by row: (3, 32, 32). The batches lie in
the folder cifar-10-batches-py, or still packed in cifar-10-python.tar.gz, which is then read as it is.

References: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
"""

import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from eb_datasets.folders import Parts, locate, reading
from eb_datasets.images import Images
from eb_datasets.plain_pickle import PickledArray, load_plain
from eb_datasets.published import Published

FOLDER: Final = "cifar-10-batches-py"
BATCHES: Final = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
SHAPE: Final = (3, 32, 32)
CLASSES: Final = 10


@attrs.frozen(eq=False)
class Batch:
    """Pixels (N, 3, 32, 32) of type uint8 and their labels (N,)."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]


def read_cifar10(
    published: Published, data_dir: Path | None, fetch: Callable[[Published], None] | None = None
) -> Images:
    """All images and labels of the six batches, in the order of the files.

    Raises:
        UsageError: a file is missing, wrong or truncated, or a pickle that asks for more than arrays.
    """

    def parts(folder: Path) -> Parts:
        archive = folder / published.files[0].name
        for place in (folder / FOLDER, folder):
            batches = {name: path if path.is_file() else None for name in BATCHES for path in [place / name]}
            if any(batches.values()):
                return batches
        return {f"{archive.name} or the folder {FOLDER}": archive if archive.is_file() else None}

    paths = list(locate(published, data_dir, parts, fetch).values())
    batches = [_from_file(path, published) for path in paths] if len(paths) > 1 else _from_archive(paths[0], published)
    *training, test = batches
    x, y = (np.concatenate([getattr(batch, name) for batch in training]) for name in ("x", "y"))
    return Images(x, y, test.x, test.y)


def _from_file(path: Path, published: Published) -> Batch:
    with reading(path, published), path.open("rb") as stream:
        return parse_batch(stream)


def _from_archive(path: Path, published: Published) -> list[Batch]:
    """The batches of a .tar.gz, read from beginning to end; nothing is unpacked on to the disk."""
    found: dict[str, Batch] = {}
    with reading(path, published), tarfile.open(path, "r|*") as archive:
        for member in archive:
            place = PurePosixPath(member.name)
            stream = archive.extractfile(member) if place.parent.name == FOLDER and place.name in BATCHES else None
            if stream is not None:
                found[place.name] = parse_batch(stream)
        missing = [name for name in BATCHES if name not in found]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
    return [found[name] for name in BATCHES]


def parse_batch(stream: Any) -> Batch:
    """One batch.

    Raises:
        ValueError: not a pickle of plain arrays, or without pixels and as many labels.
    """
    binary: BinaryIO = stream
    content = load_plain(binary)
    entries = content if isinstance(content, dict) else {}
    data, labels = (entries.get(name.encode(), entries.get(name)) for name in ("data", "labels"))
    if not (isinstance(data, PickledArray) and isinstance(labels, list)):
        raise ValueError("it holds no array 'data' with a list 'labels'")
    pixels = data.values
    if pixels.ndim != 2 or pixels.shape[1] != np.prod(SHAPE) or len(pixels) == 0:
        raise ValueError(f"its data have the shape {pixels.shape}, expected is (N, {np.prod(SHAPE)})")
    if len(labels) != len(pixels):
        raise ValueError(f"it holds {len(pixels):,} images and {len(labels):,} labels")
    if not all(type(label) is int and 0 <= label < CLASSES for label in labels):
        raise ValueError(f"its labels are not all whole numbers from 0 to {CLASSES - 1}")
    return Batch(pixels.reshape(-1, *SHAPE), np.array(labels, dtype=np.int64))
