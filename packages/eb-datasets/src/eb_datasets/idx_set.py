"""Data sets of four IDX files, two for training and two for testing: MNIST and those that follow it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eb_datasets.files import present
from eb_datasets.folders import Parts, locate, reading_of
from eb_datasets.idx import parse_idx, unpacked
from eb_datasets.images import Images
from eb_datasets.published import FASHION_MNIST, MNIST, Published

SIDE: Final = 28
CLASSES: Final = 10


def read_idx_set(
    published: Published, data_dir: Path | None, fetch: Callable[[Published], None] | None = None
) -> Images:
    """The images (N, 1, 28, 28) and labels of four IDX files, packed with gzip or not.

    Raises:
        UsageError: a file is missing, wrong or truncated.
    """

    def parts(folder: Path) -> Parts:
        return {file.name: _present(folder / file.name) for file in published.files}

    images, labels, test_images, test_labels = locate(published, data_dir, parts, fetch).values()
    y, test_y = _labels(labels, published), _labels(test_labels, published)
    return Images(_pixels(images, len(y), published), y, _pixels(test_images, len(test_y), published), test_y)


def _present(packed: Path) -> Path | None:
    return present(packed) or present(packed.with_suffix(""))


def _labels(path: Path, published: Published) -> NDArray[np.int64]:
    with reading_of(path, published):
        content = unpacked(path)
        labels = parse_idx(content, ()).astype(np.int64)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        for other in (MNIST, FASHION_MNIST):
            if digest == other.train_labels != published.train_labels:
                raise ValueError(f"these are the training labels of {other.name}; files of both have the same names")
        if len(labels) == 0 or labels.max() >= CLASSES:
            raise ValueError(f"it holds {len(labels)} labels, expected are labels from 0 to {CLASSES - 1}")
        return labels


def _pixels(path: Path, count: int, published: Published) -> NDArray[np.uint8]:
    with reading_of(path, published):
        pixels = parse_idx(unpacked(path), (SIDE, SIDE))
        if len(pixels) != count:
            raise ValueError(f"it holds {len(pixels):,} images, the file of labels beside it {count:,} labels")
        return pixels[:, None]
