"""Handwritten digits, 8x8: the 1,797 images of the UCI test set that ship with scikit-learn.

Fixed split: of each class in file order, the images 0, 5, 10, … are test images (364), the others training images
(1,433). Pixels are divided by 16, so they lie in [0, 1]. Writers occur in both splits.
"""

from pathlib import Path

import numpy as np

from eb_core import Data, Dataset, configurable, option
from eb_datasets.augmentation import Augmentation

MEAN, DEVIATION = np.float32(0.305), np.float32(0.376)
"""Of the pixels of the training images."""


@configurable
class Digits(Dataset):
    """1,433 training and 364 test images (1, 8, 8) in [0, 1] unless normalised, ten classes; nothing to download."""

    normalise: bool = option(
        default=False, help="subtract the mean 0.305 and divide by the deviation 0.376 of the pixels", prepares=True
    )
    augment: bool = option(default=False, help="shift training images by up to a pixel each way, at random")

    def known_form(self) -> tuple[tuple[int, ...], int]:
        return (1, 8, 8), 10

    def known_sizes(self) -> tuple[int, int]:
        return 1_433, 364

    def load(self, data_dir: Path | None = None) -> Data:
        from sklearn.datasets import load_digits

        digits = load_digits()
        x = (digits.images / 16).astype(np.float32)[:, None]
        if self.normalise:
            x = (x - MEAN) / DEVIATION
        y = digits.target.astype(np.int64)
        test = np.zeros(len(y), dtype=bool)
        for digit in range(10):
            test[np.flatnonzero(y == digit)[::5]] = True
        return Data.from_arrays(
            x[~test],
            y[~test],
            test=(x[test], y[test]),
            classes=10,
            name="digits",
            augment=Augmentation(padding=1) if self.augment else None,
        )
