"""CIFAR as published: pickled batches {data: (N, 3072) bytes, LABELS: [N]}, some for training, one for testing.

A row of `data` is the red, then the green, then the blue plane, each row by row: (3, 32, 32). The batches lie in a
folder of their own, or still packed in the published archive of it, which is then read as it is.

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


@attrs.frozen(eq=False)
class Batch:
    """Pixels (N, 3, 32, 32) of type uint8 and their labels (N,)."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]


def read_cifar(
    published: Published, layout: Layout, data_dir: Path | None, fetch: Callable[[Published], None] | None = None
) -> Images:
    """All images and labels of the batches, in the order of the files.

    Raises:
        UsageError: a file is missing, wrong or truncated, or a pickle that asks for more than arrays.
    """

    def parts(folder: Path) -> Parts:
        archive = folder / published.files[0].name
        for place in (folder / layout.folder, folder):
            batches = {name: path if path.is_file() else None for name in layout.batches for path in [place / name]}
            if any(batches.values()):
                return batches
        return {f"{archive.name} or the folder {layout.folder}": archive if archive.is_file() else None}

    paths = list(locate(published, data_dir, parts, fetch).values())
    if len(paths) > 1:
        *training, test = [_from_file(path, published, layout) for path in paths]
    else:
        *training, test = _from_archive(paths[0], published, layout)
    x, y = (np.concatenate([getattr(batch, name) for batch in training]) for name in ("x", "y"))
    return Images(x, y, test.x, test.y)


def _from_file(path: Path, published: Published, layout: Layout) -> Batch:
    with reading(path, published), path.open("rb") as stream:
        return parse_batch(stream, layout)


def _from_archive(path: Path, published: Published, layout: Layout) -> list[Batch]:
    """The batches of a .tar.gz, read from beginning to end; nothing is unpacked on to the disk."""
    found: dict[str, Batch] = {}
    with reading(path, published), tarfile.open(path, "r|*") as archive:
        for member in archive:
            place = PurePosixPath(member.name)
            wanted = place.parent.name == layout.folder and place.name in layout.batches
            stream = archive.extractfile(member) if wanted else None
            if stream is not None:
                found[place.name] = parse_batch(stream, layout)
        missing = [name for name in layout.batches if name not in found]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
    return [found[name] for name in layout.batches]


def parse_batch(stream: Any, layout: Layout) -> Batch:
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
    return Batch(pixels.reshape(-1, *SHAPE), np.array(labels, dtype=np.int64))
