"""CIFAR-10: 50,000 training and 10,000 test photographs of ten kinds of things, 32x32 in colour.

Normalisation divides by three times the deviation of each channel, as in B. Scellier et al., "Energy-based
learning algorithms for analog computing" (2023), whose settings depend on it.
"""

from pathlib import Path
from typing import Final

from eb_core import Data, configurable
from eb_datasets.augmentation import Augmentation
from eb_datasets.cifar_batches import Layout
from eb_datasets.cifar_set import read_cifar
from eb_datasets.images import SHAPE, ImageSet, Normalisation
from eb_datasets.published import CIFAR10

LAYOUT: Final = Layout(
    folder="cifar-10-batches-py",
    training=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    labels="labels",
    classes=10,
)
NORMALISATION: Final = Normalisation((0.4914, 0.4822, 0.4465), (3 * 0.2023, 3 * 0.1994, 3 * 0.2010))
AUGMENTATION: Final = Augmentation(padding=4, flip=True)


@configurable
class Cifar10(ImageSet):
    """50,000 training and 10,000 test images of shape (3, 32, 32), ten classes."""

    def known_form(self) -> tuple[tuple[int, ...], int]:
        return SHAPE, LAYOUT.classes

    def known_sizes(self) -> tuple[int, int]:
        return self.limited(50_000), 10_000

    def load(self, data_dir: Path | None = None) -> Data:
        images = read_cifar(CIFAR10, LAYOUT, data_dir, self.fetch)
        return self.finish("cifar10", images, LAYOUT.classes, NORMALISATION, AUGMENTATION)
