"""SVHN: 73,257 training and 26,032 test photographs of digits, cut out of house numbers, 32x32 in colour.

The 531,131 images of the split `extra` are not used.

References: Y. Netzer et al., "Reading digits in natural images with unsupervised feature learning" (2011);
normalisation and augmentation as in B. Scellier et al., "Energy-based learning algorithms for analog computing" (2023).
"""

from pathlib import Path
from typing import Final

from eb_core import Data, configurable
from eb_datasets.apart import read_apart
from eb_datasets.augmentation import Augmentation
from eb_datasets.files import present
from eb_datasets.folders import Parts, locate
from eb_datasets.images import SHAPE, Images, ImageSet, Normalisation
from eb_datasets.published import SVHN
from eb_datasets.svhn_mat import CLASSES, read_mat

NORMALISATION: Final = Normalisation((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))
AUGMENTATION: Final = Augmentation(padding=4)


@configurable
class Svhn(ImageSet):
    """73,257 training and 26,032 test images of shape (3, 32, 32), ten classes."""

    def known_form(self) -> tuple[tuple[int, ...], int]:
        return SHAPE, CLASSES

    def known_sizes(self) -> tuple[int, int]:
        return self.limited(73_257), 26_032

    def load(self, data_dir: Path | None = None) -> Data:
        def parts(folder: Path) -> Parts:
            return {file.name: present(folder / file.name) for file in SVHN.files}

        paths = locate(SVHN, data_dir, parts, self.fetch).values()
        (x, y), (test_x, test_y) = read_apart(read_mat, paths, SVHN)
        images = Images(x, y, test_x, test_y)
        return self.finish("svhn", images, CLASSES, NORMALISATION, AUGMENTATION)
