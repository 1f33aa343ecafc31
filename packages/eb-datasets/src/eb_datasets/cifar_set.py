"""CIFAR from its batches: in a folder of their own, or still packed in the published archive of it, read as it is."""

from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np

from eb_datasets.apart import read_apart
from eb_datasets.cifar_batches import Layout, read_archive, read_batch
from eb_datasets.files import present
from eb_datasets.folders import Parts, locate
from eb_datasets.images import Images
from eb_datasets.published import Published


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
            batches = {name: present(place / name) for name in layout.batches}
            if any(batches.values()):
                return batches
        return {f"{archive.name} or the folder {layout.folder}": present(archive)}

    paths = list(locate(published, data_dir, parts, fetch).values())
    reader = read_batch if len(paths) > 1 else read_archive
    arrays = [array for file in read_apart(reader, paths, published, **attrs.asdict(layout)) for array in file]
    *x, test_x = arrays[::2]
    *y, test_y = arrays[1::2]
    return Images(np.concatenate(x), np.concatenate(y), test_x, test_y)
