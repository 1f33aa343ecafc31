"""This package alone: the digits, their split and their values."""

import torch

from eb_core.testing import check_dataset
from eb_datasets.digits import Digits


def test_digits_keep_the_promises_of_a_data_set() -> None:
    check_dataset(Digits())


def test_the_split_is_fixed_and_documented() -> None:
    data = Digits().load()
    assert data.test is not None
    assert (len(data.train), len(data.test), data.input_shape, data.classes) == (1433, 364, (1, 8, 8), 10)
    assert float(data.train.x.min()) == 0.0
    assert float(data.train.x.max()) == 1.0
    assert data.test.y[:6].tolist() == [0, 1, 2, 3, 4, 5]
    assert data.checksum() == "82f790857785708d6fc2911123f8d14b"


def test_no_class_is_rare_in_either_part() -> None:
    data = Digits().load()
    assert data.test is not None
    assert int(torch.bincount(data.test.y).min()) >= 35
    assert int(torch.bincount(data.train.y).min()) >= 139


def test_augmented_digits_are_the_same_images_with_other_views_in_training() -> None:
    plain, shifted = Digits().load(), Digits(augment=True).load()
    assert plain.augment is None
    assert plain.checksum() == shifted.checksum()
    assert shifted.augment is not None
    x = shifted.train.x[:50]
    views = shifted.augment(x, torch.Generator().manual_seed(0))
    assert views.shape == x.shape
    assert 0 < int((views == x).flatten(1).all(1).sum()) < 50


def test_normalised_digits_have_mean_0_and_deviation_1() -> None:
    data, plain = Digits(normalise=True).load(), Digits().load()
    assert abs(float(data.train.x.mean())) < 2e-3
    assert abs(float(data.train.x.std()) - 1) < 2e-3
    assert data.test is not None
    assert plain.test is not None
    torch.testing.assert_close(data.test.x * 0.376 + 0.305, plain.test.x)
