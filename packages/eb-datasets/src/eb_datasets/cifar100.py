"""CIFAR-100: 50,000 training and 10,000 test photographs of a hundred kinds of things, 32x32 in colour.

Each image has two labels: a fine one of 100 classes, and a coarse one of 20, to which five fine ones belong each.

References: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009); normalisation and
augmentation as in B. Scellier et al., "Energy-based learning algorithms for analog computing" (2023).
"""

from pathlib import Path
from typing import Final, Literal

from eb_core import Data, configurable, option
from eb_datasets.augmentation import Augmentation
from eb_datasets.cifar_batches import Layout
from eb_datasets.cifar_set import read_cifar
from eb_datasets.images import SHAPE, ImageSet, Normalisation
from eb_datasets.published import CIFAR100

CLASSES: Final = {"fine": 100, "coarse": 20}
NORMALISATION: Final = Normalisation((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
AUGMENTATION: Final = Augmentation(padding=4, flip=True)


@configurable
class Cifar100(ImageSet):
    """50,000 training and 10,000 test images of shape (3, 32, 32), a hundred classes, or twenty coarse ones."""

    labels: Literal["fine", "coarse"] = option(
        default="fine",
        help="the 100 fine classes, or the 20 coarse ones that five of them each belong to",
        prepares=True,
    )

    def known_form(self) -> tuple[tuple[int, ...], int]:
        return SHAPE, CLASSES[self.labels]

    def known_sizes(self) -> tuple[int, int]:
        return self.limited(50_000), 10_000

    def load(self, data_dir: Path | None = None) -> Data:
        classes = CLASSES[self.labels]
        layout = Layout("cifar-100-python", ("train",), "test", f"{self.labels}_labels", classes)
        images = read_cifar(CIFAR100, layout, data_dir, self.fetch)
        return self.finish("cifar100", images, classes, NORMALISATION, AUGMENTATION)
