"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28.

References: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; normalisation and
augmentation as in B. Scellier et al., "Energy-based learning algorithms for analog computing" (2023).
"""

from pathlib import Path
from typing import Final

from eb_core import Data, configurable, option
from eb_datasets.augmentation import Augmentation
from eb_datasets.idx_set import CLASSES, SIDE, read_idx_set
from eb_datasets.images import ImageSet, Normalisation
from eb_datasets.published import MNIST

NORMALISATION: Final = Normalisation((0.1307,), (0.3081,))
AUGMENTATION: Final = Augmentation(padding=2)
PADDED: Final = 32


@configurable
class Mnist(ImageSet):
    """60,000 training and 10,000 test images of shape (1, 28, 28), ten classes."""

    pad: bool = option(default=False, help="pad to 32x32 with two zero pixels on each side", prepares=True)

    def known_form(self) -> tuple[tuple[int, ...], int]:
        return (1, *[PADDED if self.pad else SIDE] * 2), CLASSES

    def known_sizes(self) -> tuple[int, int]:
        return self.limited(60_000), 10_000

    def load(self, data_dir: Path | None = None) -> Data:
        images = read_idx_set(MNIST, data_dir, self.fetch)
        if self.pad:
            images = images.padded(PADDED)
        return self.finish("mnist", images, CLASSES, NORMALISATION, AUGMENTATION)
