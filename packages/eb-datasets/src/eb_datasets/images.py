"""Images as published, and what becomes of them: x = pixel / 255, normalised (x - mean_c) / std_c in each channel c.

Padding adds zero pixels before that. Augmentation comes after it, in training only: repeating edge pixels and
flipping move values and change none, so it does not matter that the values are normalised by then.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from eb_core import Data, Dataset, UsageError, configurable, option
from eb_datasets.augmentation import Augmentation
from eb_datasets.download import download
from eb_datasets.published import Published

SHAPE: Final = (3, 32, 32)
"""Of the photographs of CIFAR and SVHN."""


@attrs.frozen
class Normalisation:
    """Mean and standard deviation of each channel, of values in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@attrs.frozen(eq=False)
class Images:
    """Pixels (N, channels, height, width) of type uint8 and labels (N,) of type int64, for training and testing."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.int64]

    def padded(self, side: int) -> "Images":
        """Zero pixels around every image, so that it measures side x side."""
        rim = (side - self.x.shape[-1]) // 2
        x, test_x = (np.pad(part, ((0, 0), (0, 0), (rim, rim), (rim, rim))) for part in (self.x, self.test_x))
        return attrs.evolve(self, x=x, test_x=test_x)


@configurable
class ImageSet(Dataset):
    """Base of published image sets: the options that all of them share."""

    limit: int | None = option(default=None, help="only the first so many training images; none means all", ge=1)
    normalise: bool = option(
        default=False,
        help="subtract the mean and divide by the deviation of each channel; else values are in [0, 1]",
        prepares=True,
    )
    augment: bool = option(default=False, help="shift, and where it makes sense mirror, training images at random")
    download: bool = option(
        default=False, help="fetch missing files into the cache folder (pip install eb-datasets[download])"
    )
    source: str | None = option(
        default=None,
        help="address of a mirror to download the same files from",
        reaches_out=True,
        only_with={"download": True},
    )

    @property
    def fetch(self) -> Callable[[Published], None] | None:
        """What downloads a published data set, or None where that was not asked for."""
        return partial(download, source=self.source) if self.download else None

    def limited(self, images: int) -> int:
        """How many of so many training images are taken."""
        return images if self.limit is None else min(images, self.limit)

    def finish(
        self, name: str, images: Images, classes: int, normalisation: Normalisation, augmentation: Augmentation
    ) -> Data:
        """The images as data, as the options say.

        Raises:
            UsageError: `limit` asks for more images than there are.
        """
        count = len(images.y) if self.limit is None else self.limit
        if count > len(images.y):
            raise UsageError(
                f"limit={count}, but {name} has {len(images.y):,} training images",
                origin="[dataset] limit",
                advice="ask for fewer, or set limit=none for all",
            )

        def values(pixels: NDArray[np.uint8]) -> NDArray[Any]:
            x = pixels.astype(np.float32)
            x /= 255
            if self.normalise:
                for channel, (mean, std) in enumerate(zip(normalisation.mean, normalisation.std, strict=True)):
                    x[:, channel] -= mean
                    x[:, channel] /= std
            return x

        return Data.from_arrays(
            values(images.x[:count]),
            images.y[:count],
            test=(values(images.test_x), images.test_y),
            classes=classes,
            name=name,
            augment=augmentation if self.augment else None,
        )
