"""CIFAR-100 from its two pickled batches and its archive, with fine and with coarse labels."""

import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eb_core import UsageError
from eb_core.testing import check_dataset
from eb_datasets.cifar100 import Cifar100

Write = Callable[..., Any]
FOLDER = "cifar-100-python"


def pack(folder: Path) -> Path:
    """The archive of a folder, as published: inside it the folder."""
    path = folder.parent / "archive" / "cifar-100-python.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, FOLDER)
    return path


def message(folder: Path, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        Cifar100(**options).load(folder)
    assert len(caught.value.faults) == 1, "one error"
    return str(caught.value)


@pytest.mark.parametrize("options", [{}, {"labels": "coarse"}, {"normalise": True}, {"augment": True}])
def test_cifar100_keeps_the_promises_of_a_data_set(options: Any, tmp_path: Path, write_cifar100: Write) -> None:
    write_cifar100(tmp_path / FOLDER)
    check_dataset(Cifar100(**options), tmp_path)


@pytest.mark.parametrize("place", [FOLDER, ".", f"cifar100/{FOLDER}", "cifar100"])
def test_both_batches_are_read_in_order_wherever_they_lie(place: str, tmp_path: Path, write_cifar100: Write) -> None:
    (x, y, _), (test_x, test_y, _) = write_cifar100(tmp_path / place)
    data = Cifar100().load(tmp_path)
    assert data.test is not None
    assert (data.name, data.input_shape, data.classes) == ("cifar100", (3, 32, 32), 100)
    assert (data.train.x.dtype, data.train.y.dtype) == (torch.float32, torch.int64)
    assert np.array_equal(data.train.x.numpy(), x.astype(np.float32) / 255)
    assert np.array_equal(data.test.x.numpy(), test_x.astype(np.float32) / 255)
    assert (data.train.y.tolist(), data.test.y.tolist()) == (y.tolist(), test_y.tolist())


def test_coarse_labels_are_read_where_they_are_asked_for(tmp_path: Path, write_cifar100: Write) -> None:
    (_, fine, coarse), (_, _, test_coarse) = write_cifar100(tmp_path)
    data = Cifar100(labels="coarse").load(tmp_path)
    assert data.test is not None
    assert data.classes == 20
    assert (data.train.y.tolist(), data.test.y.tolist()) == (coarse.tolist(), test_coarse.tolist())
    assert Cifar100(labels="fine").load(tmp_path).train.y.tolist() == fine.tolist()


def test_no_other_labels_can_be_asked_for() -> None:
    with pytest.raises(ValueError, match=r"must be one of fine \| coarse"):
        Cifar100(labels="superclass")  # type: ignore[arg-type]


def test_batches_as_python_2_pickled_them_are_read(tmp_path: Path, write_cifar100: Write, by_python_2: Write) -> None:
    splits = write_cifar100(tmp_path)
    expected = [Cifar100(labels=labels).load(tmp_path).checksum() for labels in ("fine", "coarse")]
    for name, (x, fine, coarse) in zip(("train", "test"), splits, strict=True):
        (tmp_path / name).write_bytes(by_python_2(x, fine_labels=fine, coarse_labels=coarse))
    assert [Cifar100(labels=labels).load(tmp_path).checksum() for labels in ("fine", "coarse")] == expected


def test_the_archive_is_read_as_it_is(tmp_path: Path, write_cifar100: Write) -> None:
    write_cifar100(tmp_path / FOLDER)
    archive = pack(tmp_path / FOLDER)
    assert Cifar100().load(archive.parent).checksum() == Cifar100().load(tmp_path).checksum()
    assert [path.name for path in archive.parent.iterdir()] == [archive.name], "nothing is unpacked on to the disk"


def test_files_of_the_same_name_elsewhere_in_the_archive_are_not_taken_for_batches(
    tmp_path: Path, write_cifar100: Write
) -> None:
    write_cifar100(tmp_path / FOLDER)
    write_cifar100(tmp_path / FOLDER / "zoo", train=60)
    assert len(Cifar100().load(pack(tmp_path / FOLDER).parent).train) == 120


def test_a_truncated_archive_is_named_with_the_size_and_checksum_that_were_published(
    tmp_path: Path, write_cifar100: Write
) -> None:
    write_cifar100(tmp_path / FOLDER)
    archive = pack(tmp_path / FOLDER)
    archive.write_bytes(archive.read_bytes()[:100_000])
    text = message(archive.parent)
    assert "cifar-100-python.tar.gz is no usable file of cifar100" in text
    assert "169,001,437 bytes and the MD5 sum eb9058c3a382ffc7106e4002c42a8d85; this one has 100,000 bytes" in text


def test_an_archive_without_a_batch_says_which_one_it_lacks(tmp_path: Path, write_cifar100: Write) -> None:
    write_cifar100(tmp_path / FOLDER)
    (tmp_path / FOLDER / "test").unlink()
    assert "it lacks test" in message(pack(tmp_path / FOLDER).parent)


def test_a_missing_batch_is_named_and_so_are_archive_and_folder_where_neither_is_there(
    tmp_path: Path, write_cifar100: Write
) -> None:
    assert "cifar100 is not on this computer: it needs cifar-100-python.tar.gz or the folder cifar-100-p" in message(
        tmp_path
    )
    write_cifar100(tmp_path / FOLDER)
    (tmp_path / FOLDER / "train").unlink()
    text = message(tmp_path)
    assert "cifar100 is not complete without train" in text
    assert "download=true" in text


def test_folders_called_train_and_test_are_not_taken_for_batches(tmp_path: Path, write_cifar100: Write) -> None:
    write_cifar100(tmp_path / FOLDER)
    archive = pack(tmp_path / FOLDER)
    for name in ("train", "test"):
        (archive.parent / name).mkdir()
    assert len(Cifar100().load(archive.parent).train) == 120


ROW = np.zeros((2, 3072), dtype=np.uint8)


@pytest.mark.parametrize(
    ("labels", "content", "complaint"),
    [
        ("fine", {b"data": ROW, b"labels": [1, 2]}, "no array 'data' with a list 'fine_labels'"),
        ("coarse", {b"data": ROW, b"fine_labels": [1, 2]}, "no array 'data' with a list 'coarse_labels'"),
        ("fine", {b"data": ROW, b"fine_labels": [1, 100]}, "whole numbers from 0 to 99"),
        ("fine", {b"data": ROW, b"fine_labels": [1, -1]}, "whole numbers from 0 to 99"),
        ("coarse", {b"data": ROW, b"coarse_labels": [1, 20]}, "whole numbers from 0 to 19"),
        ("fine", {b"data": ROW, b"fine_labels": [1]}, "2 images and 1 labels"),
        ("fine", {b"data": ROW[:, 1:], b"fine_labels": [1, 2]}, "the shape (2, 3071), expected is (N, 3072)"),
    ],
)  # fmt: skip
def test_a_batch_with_something_else_in_it_is_refused_with_the_reason(
    labels: str, content: Any, complaint: str, tmp_path: Path, write_cifar100: Write
) -> None:
    write_cifar100(tmp_path)
    (tmp_path / "test").write_bytes(pickle.dumps(content))
    text = message(tmp_path, labels=labels)
    assert "test is no usable file of cifar100" in text
    assert complaint in text


def test_a_truncated_batch_and_one_that_is_no_pickle_are_refused(tmp_path: Path, write_cifar100: Write) -> None:
    write_cifar100(tmp_path)
    path = tmp_path / "train"
    whole = path.read_bytes()
    for part in (whole[:1000], whole[:-1], b"", b"\x89PNG\r\n"):
        path.write_bytes(part)
        assert "train is no usable file of cifar100: not read, as it is no pickle of plain arrays" in message(tmp_path)


class Attack:
    """Pickled, it is a call that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_that_runs_something_is_refused_and_does_not_run_it(tmp_path: Path, write_cifar100: Write) -> None:
    write_cifar100(tmp_path)
    content = {b"data": ROW, b"fine_labels": [1, 2], b"filenames": Attack(tmp_path / "trace")}
    (tmp_path / "train").write_bytes(pickle.dumps(content))
    assert "which no array of pixels needs" in message(tmp_path)
    assert not (tmp_path / "trace").exists()
