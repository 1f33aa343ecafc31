"""The data sets as published, where they are at hand: shapes, first labels and checksums."""

import hashlib
from pathlib import Path

import pytest
import torch

from eb_core import Dataset, UsageError
from eb_datasets.fashion_mnist import FashionMnist
from eb_datasets.idx import unpacked
from eb_datasets.mnist import Mnist
from eb_datasets.mnist_100 import Mnist100
from eb_datasets.published import FASHION_MNIST, MNIST, Published

FILES = Path(__file__).resolve().parents[4] / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not (FILES / "mnist").is_dir(), reason="needs the real data sets in ../shared/data beside the repository"
)


@pytest.mark.parametrize(
    ("dataset", "labels", "mean", "std", "checksum"),
    [
        (Mnist(), [5, 0, 4, 1, 9], 0.1307, 0.3081, "b5466f835ddfb0fb6d255df84ec8a83e"),
        (FashionMnist(), [9, 0, 0, 3, 0], 0.2860, 0.3530, "ad057a8d9c2fdd4e51f28b95981671a7"),
    ],
    ids=["mnist", "fashion-mnist"],
)
def test_the_whole_sets_have_the_published_shapes_labels_moments_and_checksum(
    dataset: Dataset, labels: list[int], mean: float, std: float, checksum: str
) -> None:
    data = dataset.load(FILES)
    assert data.test is not None
    assert (data.train.x.shape, data.test.x.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert data.train.y[:5].tolist() == labels
    assert (float(data.train.x.mean()), float(data.train.x.std())) == pytest.approx((mean, std), abs=6e-5)
    assert (float(data.train.x.min()), float(data.train.x.max())) == (0.0, 1.0)
    assert data.checksum() == checksum


def test_mnist_100_is_a_hundred_training_and_ten_test_images_of_each_digit() -> None:
    data = Mnist100().load(FILES)
    assert data.test is not None
    assert torch.bincount(data.train.y).tolist() == [100] * 10
    assert torch.bincount(data.test.y).tolist() == [10] * 10
    assert data.train.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.checksum() == "e33dbd68a9ed879d1e82cb8fe23f7f18"


def test_mnist_100_is_scored_on_all_test_images_too() -> None:
    data = Mnist100(test="full").load(FILES)
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (1000, 10_000)
    assert data.checksum() == "f8c301d1f0aa1a2235d4a4d0765426d7"


def test_files_of_mnist_are_not_taken_for_fashion_mnist() -> None:
    with pytest.raises(UsageError, match="these are the training labels of mnist"):
        FashionMnist().load(FILES / "mnist")
    with pytest.raises(UsageError, match="these are the training labels of fashion-mnist"):
        Mnist100().load(FILES / "fashion-mnist")


@pytest.mark.parametrize("published", [MNIST, FASHION_MNIST], ids=lambda one: one.name)
def test_the_unpacked_labels_have_the_checksum_that_tells_the_sets_apart(published: Published) -> None:
    content = unpacked(FILES / published.name / "train-labels-idx1-ubyte.gz")
    assert hashlib.md5(content).hexdigest() == published.train_labels
