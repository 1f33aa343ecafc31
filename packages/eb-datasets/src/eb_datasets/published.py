"""The published data sets: where they come from, and what their files are called, how large and which checksum.

Sizes and MD5 sums are those of the files as published. A copy that somebody has packed again differs in both and
is as good; a download must match.
"""

from typing import Final

import attrs


@attrs.frozen
class File:
    """One file as published: its name, its size in bytes, its MD5 sum."""

    name: str
    size: int
    md5: str

    def __str__(self) -> str:
        return f"{self.name} as published has {self.size:,} bytes and the MD5 sum {self.md5}"


@attrs.frozen
class Published:
    """A published data set.

    Args:
        name: name of the folder that its files are kept in.
        source: address of the folder on the web that `files` are downloaded from.
        train_labels: MD5 sum of the training labels once unpacked, by which files of IDX sets are told apart:
            they all have the same names.
    """

    name: str
    source: str
    files: tuple[File, ...]
    train_labels: str = ""


MNIST: Final = Published(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    (
        File("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        File("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        File("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        File("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
    train_labels="a25bea736e30d166cdddb491f175f624",
)

FASHION_MNIST: Final = Published(
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    (
        File("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        File("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
        File("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        File("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
    train_labels="9018921c3c673c538a1fc5bad174d6f9",
)

CIFAR10: Final = Published(
    "cifar10",
    "https://www.cs.toronto.edu/~kriz",
    (File("cifar-10-python.tar.gz", 170_498_071, "c58f30108f718f92721af3b95e74349a"),),
)

CIFAR100: Final = Published(
    "cifar100",
    "https://www.cs.toronto.edu/~kriz",
    (File("cifar-100-python.tar.gz", 169_001_437, "eb9058c3a382ffc7106e4002c42a8d85"),),
)

SVHN: Final = Published(
    "svhn",
    "http://ufldl.stanford.edu/housenumbers",
    (
        File("train_32x32.mat", 182_040_794, "e26dedcc434d2e4c54c9b2d4a06d8373"),
        File("test_32x32.mat", 64_275_384, "eb5a983be6a315427106f1b164d9cef3"),
    ),
)
