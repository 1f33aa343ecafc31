"""MNIST/100: of each class the first 100 training and the first 10 test images of MNIST, in file order.

Its 100 test images have a standard error of 3 points: report the 10,000 test images (`test="full"`) too.
"""

from pathlib import Path
from typing import Any, Final, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from eb_core import Data, UsageError, configurable, option
from eb_datasets.idx_set import CLASSES, SIDE, read_idx_set
from eb_datasets.images import Images, ImageSet
from eb_datasets.mnist import AUGMENTATION, NORMALISATION, PADDED
from eb_datasets.published import MNIST

TRAINING_IMAGES: Final = 100
TEST_IMAGES: Final = 10


@configurable
class Mnist100(ImageSet):
    """1,000 training and 100 test images of shape (1, 28, 28), ten classes, equally many of each."""

    test: Literal["small", "full"] = option(
        default="small", help="the 100 test images of the small set, or all 10,000 of MNIST", prepares=True
    )
    pad: bool = option(default=False, help="pad to 32x32 with two zero pixels on each side", prepares=True)

    def known_form(self) -> tuple[tuple[int, ...], int]:
        return (1, *[PADDED if self.pad else SIDE] * 2), CLASSES

    def known_sizes(self) -> tuple[int, int]:
        return self.limited(CLASSES * TRAINING_IMAGES), CLASSES * TEST_IMAGES if self.test == "small" else 10_000

    def load(self, data_dir: Path | None = None) -> Data:
        images = read_idx_set(MNIST, data_dir, self.fetch)
        rows = first_of_each_class(images.y, TRAINING_IMAGES, "training")
        images = attrs.evolve(images, x=images.x[rows], y=images.y[rows])
        if self.test == "small":
            images = _small_test(images)
        if self.pad:
            images = images.padded(PADDED)
        return self.finish("mnist-100", images, CLASSES, NORMALISATION, AUGMENTATION)


def _small_test(images: Images) -> Images:
    rows = first_of_each_class(images.test_y, TEST_IMAGES, "test")
    return attrs.evolve(images, test_x=images.test_x[rows], test_y=images.test_y[rows])


def first_of_each_class(labels: NDArray[np.int64], count: int, split: str) -> NDArray[Any]:
    """Positions of the first `count` samples of each class, in file order.

    Raises:
        UsageError: a class has fewer samples.
    """
    rows = [np.flatnonzero(labels == one)[:count] for one in range(CLASSES)]
    short = [f"{len(row)} of class {one}" for one, row in enumerate(rows) if len(row) < count]
    if short:
        raise UsageError(
            f"mnist-100 takes {count} {split} images of each class, the files hold {', '.join(short)}",
            origin=f"mnist, {split}",
            advice="use the files as published",
        )
    return np.sort(np.concatenate(rows))
