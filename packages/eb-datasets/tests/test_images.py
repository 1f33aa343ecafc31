"""The options that image sets share, and MNIST/100."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eb_core import Dataset, UsageError
from eb_core.testing import check_dataset
from eb_datasets.augmentation import Augmentation
from eb_datasets.cifar10 import Cifar10
from eb_datasets.cifar100 import Cifar100
from eb_datasets.fashion_mnist import FashionMnist
from eb_datasets.mnist import Mnist
from eb_datasets.mnist_100 import Mnist100
from eb_datasets.svhn import Svhn

Write = Callable[..., Any]


@pytest.fixture
def data_dir(tmp_path: Path, write_idx: Write, write_cifar: Write, write_cifar100: Write, write_svhn: Write) -> Path:
    write_idx(tmp_path / "mnist", train=1500, test=150)
    write_idx(tmp_path / "fashion-mnist", seed=5)
    write_cifar(tmp_path / "cifar-10-batches-py")
    write_cifar100(tmp_path / "cifar-100-python")
    write_svhn(tmp_path / "svhn")
    return tmp_path


def numbers(x: torch.Tensor) -> list[int]:
    """The number in the file of each image, which its first two pixels hold."""
    first = (x.flatten(1)[:, :2] * 255).round().to(torch.int64)
    return (first[:, 0] * 256 + first[:, 1]).tolist()


@pytest.mark.parametrize("kind", [Mnist, FashionMnist, Cifar10, Cifar100, Svhn])
def test_values_lie_between_0_and_1_unless_they_are_normalised(kind: type[Dataset], data_dir: Path) -> None:
    data = kind().load(data_dir)
    assert data.test is not None
    for split in (data.train, data.test):
        assert split.x.dtype == torch.float32
        assert (float(split.x.min()), float(split.x.max())) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "mean", "std"),
    [
        (Mnist, [0.1307], [0.3081]),
        (FashionMnist, [0.2860], [0.3530]),
        (Cifar10, [0.4914, 0.4822, 0.4465], [0.6069, 0.5982, 0.6030]),
        (Cifar100, [0.5071, 0.4867, 0.4408], [0.2675, 0.2565, 0.2761]),
        (Svhn, [0.4377, 0.4438, 0.4728], [0.1980, 0.2010, 0.1970]),
    ],
)
def test_normalised_values_are_shifted_and_scaled_in_each_channel(
    kind: Any, mean: list[float], std: list[float], data_dir: Path
) -> None:
    plain, normalised = kind().load(data_dir), kind(normalise=True).load(data_dir)
    for channel, (centre, width) in enumerate(zip(mean, std, strict=True)):
        for part in ("train", "test"):
            x, z = (getattr(data, part).x[:, channel] for data in (plain, normalised))
            torch.testing.assert_close(z, (x - centre) / width)


@pytest.mark.parametrize(("kind", "train", "test"), [(Cifar100, 120, 40), (Svhn, 30, 20)])
def test_limit_counts_training_images_of_colour_sets_too(kind: Any, train: int, test: int, data_dir: Path) -> None:
    data = kind(limit=7).load(data_dir)
    assert numbers(data.train.x) == list(range(7))
    assert len(data.test) == test
    with pytest.raises(UsageError, match=f"limit={train + 1}, but {data.name} has {train} training images"):
        kind(limit=train + 1).load(data_dir)


def test_limit_keeps_the_first_training_images_and_all_test_images(data_dir: Path) -> None:
    data, whole = Mnist(limit=7).load(data_dir), Mnist().load(data_dir)
    assert data.test is not None
    assert numbers(data.train.x) == list(range(7))
    assert data.train.y.tolist() == whole.train.y[:7].tolist()
    assert len(data.test) == 150
    assert len(Mnist(limit=1500).load(data_dir).train) == 1500
    with pytest.raises(UsageError, match="limit=1501, but mnist has 1,500 training images"):
        Mnist(limit=1501).load(data_dir)


@pytest.mark.parametrize("kind", [Mnist, Mnist100, FashionMnist])
def test_padding_surrounds_each_image_with_two_pixels_of_background(kind: Any, data_dir: Path) -> None:
    plain, padded = kind(limit=5).load(data_dir), kind(limit=5, pad=True).load(data_dir)
    for part in ("train", "test"):
        x, wide = getattr(plain, part).x, getattr(padded, part).x
        assert wide.shape[1:] == (1, 32, 32)
        assert torch.equal(wide[:, :, 2:-2, 2:-2], x)
        assert float(wide.sum()) == pytest.approx(float(x.sum()))
    assert float(kind(pad=True, normalise=True).load(data_dir).train.x[:, :, 0].max()) < 0, "background, normalised"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Mnist, Augmentation(2)),
        (Mnist100, Augmentation(2)),
        (FashionMnist, Augmentation(2, flip=True)),
        (Cifar10, Augmentation(4, flip=True)),
        (Cifar100, Augmentation(4, flip=True)),
        (Svhn, Augmentation(4)),
    ],
)
def test_augmentation_is_that_of_the_papers_and_off_unless_asked_for(
    kind: Any, expected: Augmentation, data_dir: Path
) -> None:
    assert kind().load(data_dir).augment is None
    assert kind(augment=True).load(data_dir).augment == expected
    assert kind(augment=True).load(data_dir).checksum() == kind().load(data_dir).checksum()


@pytest.mark.parametrize("options", [{}, {"test": "full"}, {"pad": True, "normalise": True}])
def test_mnist_100_keeps_the_promises_of_a_data_set(options: dict[str, Any], data_dir: Path) -> None:
    check_dataset(Mnist100(**options), data_dir)


def test_mnist_100_takes_the_first_images_of_each_class_in_file_order(data_dir: Path) -> None:
    whole, small = Mnist().load(data_dir), Mnist100().load(data_dir)
    assert whole.test is not None
    assert small.test is not None
    for large, part, count in ((whole.train, small.train, 100), (whole.test, small.test, 10)):
        seen = [0] * 10
        expected = []
        for row, label in enumerate(large.y.tolist()):
            seen[label] += 1
            if seen[label] <= count:
                expected.append(row)
        assert numbers(part.x) == expected
        assert part.y.tolist() == large.y[expected].tolist()
        assert torch.bincount(part.y).tolist() == [count] * 10


def test_mnist_100_reaches_all_test_images_too(data_dir: Path) -> None:
    full = Mnist100(test="full").load(data_dir)
    assert full.test is not None
    assert len(full.train) == 1000
    assert numbers(full.test.x) == list(range(150))
    assert full.name == "mnist-100"


def test_mnist_100_says_which_class_is_short_of_images(tmp_path: Path, write_idx: Write) -> None:
    write_idx(tmp_path, train=992, test=200)
    with pytest.raises(UsageError, match="100 training images of each class, the files hold 99 of") as caught:
        Mnist100(limit=3).load(tmp_path)
    assert "mnist" in caught.value.faults[0].origin


def test_pixels_of_different_images_do_not_mix(data_dir: Path) -> None:
    x = Cifar10().load(data_dir).train.x.numpy()
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)
