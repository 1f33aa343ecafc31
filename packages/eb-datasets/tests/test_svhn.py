"""SVHN from its two MATLAB files: what is read, and every way in which a file can be wrong."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.sparse import csc_array

from eb_core import UsageError
from eb_core.testing import check_dataset
from eb_datasets.svhn import Svhn
from eb_datasets.svhn_mat import parse_mat

Write = Callable[..., Any]


def message(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        Svhn().load(folder)
    assert len(caught.value.faults) == 1, "one error"
    return str(caught.value)


@pytest.mark.parametrize("options", [{}, {"normalise": True}, {"augment": True}])
def test_svhn_keeps_the_promises_of_a_data_set(options: Any, tmp_path: Path, write_svhn: Write) -> None:
    write_svhn(tmp_path)
    check_dataset(Svhn(**options), tmp_path)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["svhn", "."])
def test_images_and_digits_are_read_in_file_order_packed_or_not(
    place: str, packed: bool, tmp_path: Path, write_svhn: Write
) -> None:
    (x, y), (test_x, test_y) = write_svhn(tmp_path / place, packed=packed)
    data = Svhn().load(tmp_path)
    assert data.test is not None
    assert (data.name, data.input_shape, data.classes) == ("svhn", (3, 32, 32), 10)
    assert (data.train.x.dtype, data.train.y.dtype) == (torch.float32, torch.int64)
    assert np.array_equal(data.train.x.numpy(), x.astype(np.float32) / 255)
    assert np.array_equal(data.test.x.numpy(), test_x.astype(np.float32) / 255)
    assert (data.train.y.tolist(), data.test.y.tolist()) == (y.tolist(), test_y.tolist())


def test_a_pixel_of_the_file_is_found_at_its_image_channel_row_and_column(tmp_path: Path, write_svhn: Write) -> None:
    write_svhn(tmp_path)
    x = np.zeros((32, 32, 3, 5), dtype=np.uint8)
    x[3, 20, 1, 2] = 255
    savemat(tmp_path / "train_32x32.mat", {"X": x, "y": np.ones((5, 1), dtype=np.uint8)})
    assert torch.nonzero(Svhn().load(tmp_path).train.x).tolist() == [[2, 1, 3, 20]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_the_label_10_is_the_digit_0_and_all_others_are_themselves(
    dtype: Any, tmp_path: Path, write_svhn: Write
) -> None:
    write_svhn(tmp_path)
    labels = np.array([10, *range(1, 11), 10], dtype=dtype)[:, None]
    savemat(tmp_path / "test_32x32.mat", {"X": np.zeros((32, 32, 3, 12), dtype=np.uint8), "y": labels})
    data = Svhn().load(tmp_path)
    assert data.test is not None
    assert data.test.y.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0]


def test_pixels_lie_in_memory_image_by_image_and_are_not_copied_again(tmp_path: Path, write_svhn: Write) -> None:
    write_svhn(tmp_path)
    with (tmp_path / "train_32x32.mat").open("rb") as stream:
        x, _ = parse_mat(stream)
    assert (x.shape, x.dtype) == ((30, 3, 32, 32), np.uint8)
    assert x.flags.c_contiguous
    assert Svhn().load(tmp_path).train.x.is_contiguous()


def test_augmented_digits_are_shifted_and_never_mirrored(tmp_path: Path, write_svhn: Write) -> None:
    write_svhn(tmp_path)
    augment = Svhn(augment=True).load(tmp_path).augment
    assert augment is not None
    ramp = torch.arange(32.0).expand(50, 3, 32, 32)
    views = augment(ramp, torch.Generator().manual_seed(0))
    assert not torch.equal(views, ramp)
    assert bool((views.diff(dim=-1) >= 0).all()), "columns keep their order"
    assert float((views - ramp).abs().max()) == 4, "and move by up to four pixels"


def test_a_missing_file_is_named_and_so_are_both_where_neither_is_there(tmp_path: Path, write_svhn: Write) -> None:
    text = message(tmp_path)
    assert "svhn is not on this computer: it needs train_32x32.mat, test_32x32.mat" in text
    assert str(tmp_path / "svhn") in text
    write_svhn(tmp_path)
    (tmp_path / "test_32x32.mat").unlink()
    text = message(tmp_path)
    assert "svhn is not complete without test_32x32.mat" in text
    for way in ("--data-dir", "EB_DATA_DIR", "download=true"):
        assert way in text


@pytest.mark.parametrize("packed", [True, False])
def test_a_truncated_file_is_named_with_the_size_and_checksum_that_were_published(
    packed: bool, tmp_path: Path, write_svhn: Write
) -> None:
    write_svhn(tmp_path, packed=packed)
    path = tmp_path / "train_32x32.mat"
    whole = path.read_bytes()
    for size in (0, 127, 160, 5000, len(whole) - 3):
        path.write_bytes(whole[:size])
        text = message(tmp_path)
        assert "train_32x32.mat is no usable file of svhn: not read, as it is no whole MATLAB file" in text
        assert "182,040,794 bytes and the MD5 sum e26dedcc434d2e4c54c9b2d4a06d8373" in text
        assert f"this one has {size:,} bytes" in text


def test_a_compressed_file_with_a_flipped_bit_is_refused_wherever_the_bit_is(tmp_path: Path, write_svhn: Write) -> None:
    write_svhn(tmp_path, train=3)
    path = tmp_path / "train_32x32.mat"
    whole = path.read_bytes()
    for at in [*range(125, 200, 9), *range(200, len(whole), 2003)]:
        content = bytearray(whole)
        content[at] ^= 1
        path.write_bytes(content)
        assert "train_32x32.mat is no usable file of svhn" in message(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!doctype html>" * 1000, "no whole MATLAB file"),
        (b"\0" * 4000, "no whole MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF" * 100, "version 5 to 7.2: Please use HDF reader"),
    ],
    ids=["web page", "zeros", "version 7.3"],
)
def test_a_file_of_another_kind_is_refused(content: bytes, reason: str, tmp_path: Path, write_svhn: Write) -> None:
    write_svhn(tmp_path)
    (tmp_path / "test_32x32.mat").write_bytes(content)
    text = message(tmp_path)
    assert "test_32x32.mat is no usable file of svhn" in text
    assert reason in text


X = np.zeros((32, 32, 3, 4), dtype=np.uint8)
Y = np.array([[1], [10], [3], [9]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"X": X}, "it lacks y"),
        ({"y": Y}, "it lacks X"),
        ({"digitStruct": Y}, "it lacks X, y"),
        ({"X": X.astype(float), "y": Y}, "its X is no array of bytes"),
        ({"X": "text", "y": Y}, "its X is no array of bytes"),
        ({"X": X, "y": [["one"], ["two"], ["ten"], ["six"]]}, "its y none of numbers"),
        ({"X": X, "y": Y * (1 + 0j)}, "its y none of numbers"),
        ({"X": X, "y": csc_array(Y.astype(float))}, "its y none of numbers"),
        ({"X": X.transpose(3, 0, 1, 2), "y": Y}, "its X has the shape (4, 32, 32, 3), expected is (32, 32, 3, N)"),
        ({"X": X[..., 0], "y": Y[:1]}, "its X has the shape (32, 32, 3), expected is (32, 32, 3, N)"),
        ({"X": X[..., :0], "y": Y[:0]}, "its X has the shape (32, 32, 3, 0), expected is (32, 32, 3, N)"),
        ({"X": X, "y": Y[:3]}, "its y has the shape (3, 1), expected is (4, 1)"),
        ({"X": X, "y": Y.T}, "its y has the shape (1, 4), expected is (4, 1)"),
        ({"X": X, "y": Y - 1}, "its labels are not all whole numbers from 1 to 10"),
        ({"X": X, "y": Y + 1}, "its labels are not all whole numbers from 1 to 10"),
        ({"X": X, "y": Y - 0.5}, "its labels are not all whole numbers from 1 to 10"),
        ({"X": X, "y": np.full((4, 1), np.nan)}, "its labels are not all whole numbers from 1 to 10"),
    ],
)  # fmt: skip
def test_a_file_with_something_else_in_it_is_refused_with_the_reason(
    content: Any, complaint: str, tmp_path: Path, write_svhn: Write
) -> None:
    write_svhn(tmp_path)
    savemat(tmp_path / "train_32x32.mat", content)
    text = message(tmp_path)
    assert "train_32x32.mat is no usable file of svhn" in text
    assert complaint in text


def test_scipy_is_imported_when_a_file_is_read_and_not_before() -> None:
    code = "import sys, eb_datasets.svhn; sys.exit('scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
