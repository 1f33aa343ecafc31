"""CIFAR-10 from its pickled batches and its archive, and pickles that ask for more than arrays."""

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eb_core import UsageError
from eb_core.testing import check_dataset
from eb_datasets import plain_pickle
from eb_datasets.cifar10 import Cifar10
from eb_datasets.plain_pickle import load_plain

Write = Callable[..., Any]
FOLDER = "cifar-10-batches-py"


def pack(folder: Path) -> Path:
    """The archive of a folder, as published: inside it the folder."""
    path = folder.parent / "archive" / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, FOLDER)
    return path


def message(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        Cifar10().load(folder)
    assert len(caught.value.faults) == 1, "one error"
    return str(caught.value)


@pytest.mark.parametrize("options", [{}, {"normalise": True}, {"augment": True}])
def test_cifar10_keeps_the_promises_of_a_data_set(options: Any, tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / FOLDER)
    check_dataset(Cifar10(**options), tmp_path)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("place", [FOLDER, ".", f"cifar10/{FOLDER}", "cifar10"])
def test_batches_are_read_in_order_wherever_they_lie_and_whichever_python_3_wrote_them(
    place: str, protocol: int, tmp_path: Path, write_cifar: Write
) -> None:
    batches = write_cifar(tmp_path / place, protocol=protocol)
    data = Cifar10().load(tmp_path)
    assert data.test is not None
    assert (data.name, data.input_shape, data.classes) == ("cifar10", (3, 32, 32), 10)
    x, y = (np.concatenate([batch[at] for batch in batches[:5]]) for at in (0, 1))
    assert np.array_equal(data.train.x.numpy(), x.astype(np.float32) / 255)
    assert data.train.y.tolist() == y.tolist()
    assert np.array_equal(data.test.x.numpy(), batches[5][0].astype(np.float32) / 255)
    assert data.test.y.tolist() == batches[5][1].tolist()


def test_batches_as_python_2_pickled_them_are_read(tmp_path: Path, write_cifar: Write, by_python_2: Write) -> None:
    batches = write_cifar(tmp_path)
    expected = Cifar10().load(tmp_path).checksum()
    for name, (x, y) in zip([*(f"data_batch_{one}" for one in range(1, 6)), "test_batch"], batches, strict=True):
        (tmp_path / name).write_bytes(by_python_2(x, labels=y))
    assert Cifar10().load(tmp_path).checksum() == expected


def test_an_array_stored_column_by_column_is_read_right() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for protocol in (3, 4, 5):
        content = pickle.dumps(np.asfortranarray(array), protocol)
        assert np.array_equal(load_plain(io.BytesIO(content)).values, array)


def test_the_archive_is_read_as_it_is(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / FOLDER)
    archive = pack(tmp_path / FOLDER)
    assert Cifar10().load(archive.parent).checksum() == Cifar10().load(tmp_path).checksum()
    assert [path.name for path in archive.parent.iterdir()] == [archive.name], "nothing is unpacked on to the disk"


def test_a_truncated_archive_is_named_with_the_size_and_checksum_that_were_published(
    tmp_path: Path, write_cifar: Write
) -> None:
    write_cifar(tmp_path / FOLDER)
    archive = pack(tmp_path / FOLDER)
    whole = archive.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:100], b"", b"<!doctype html>" * 1000):
        archive.write_bytes(part)
        text = message(archive.parent)
        assert "cifar-10-python.tar.gz is no usable file of cifar10" in text
        assert "170,498,071 bytes and the MD5 sum c58f30108f718f92721af3b95e74349a" in text
        assert "--data-dir" in text


def test_an_archive_without_a_batch_says_which_one_it_lacks(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / FOLDER)
    (tmp_path / FOLDER / "data_batch_4").unlink()
    assert "it lacks data_batch_4" in message(pack(tmp_path / FOLDER).parent)


def test_a_missing_batch_is_named_and_so_are_archive_and_folder_where_neither_is_there(
    tmp_path: Path, write_cifar: Write
) -> None:
    assert "cifar10 is not on this computer: it needs cifar-10-python.tar.gz or the folder cifar-10-b" in message(
        tmp_path
    )
    write_cifar(tmp_path / FOLDER)
    (tmp_path / FOLDER / "test_batch").unlink()
    text = message(tmp_path)
    assert "cifar10 is not complete without test_batch" in text
    assert "download=true" in text


ROW = np.zeros((2, 3072), dtype=np.uint8)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({b"data": ROW, b"labels": [1]}, "2 images and 1 labels"),
        ({b"data": ROW, b"labels": [1, 10]}, "whole numbers from 0 to 9"),
        ({b"data": ROW, b"labels": [1, True]}, "whole numbers from 0 to 9"),
        ({b"data": ROW, b"labels": [1, b"2"]}, "whole numbers from 0 to 9"),
        ({b"data": ROW[:, 1:], b"labels": [1, 2]}, "the shape (2, 3071), expected is (N, 3072)"),
        ({b"data": ROW[:0], b"labels": []}, "the shape (0, 3072)"),
        ({b"data": ROW.ravel(), b"labels": [1, 2]}, "the shape (6144,)"),
        ({b"data": ROW, b"fine_labels": [1, 2]}, "no array 'data' with a list 'labels'"),
        ({b"data": ROW.tolist(), b"labels": [1, 2]}, "no array 'data' with a list 'labels'"),
        ([ROW, [1, 2]], "no array 'data' with a list 'labels'"),
        ({b"data": ROW.astype(float), b"labels": [1, 2]}, "an array of type 'f8', expected are unsigned bytes"),
        ({b"data": ROW.astype(object), b"labels": [1, 2]}, "an array of type 'O8', expected are unsigned bytes"),
    ],
)  # fmt: skip
def test_a_batch_with_something_else_in_it_is_refused_with_the_reason(
    content: Any, complaint: str, tmp_path: Path, write_cifar: Write
) -> None:
    write_cifar(tmp_path)
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(content))
    text = message(tmp_path)
    assert "data_batch_2 is no usable file of cifar10" in text
    assert complaint in text


def test_a_truncated_batch_and_one_that_is_no_pickle_are_refused(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_3"
    whole = path.read_bytes()
    for part in (whole[:1000], whole[:-1], b"", b"\x89PNG\r\n", b"."):
        path.write_bytes(part)
        assert "data_batch_3 is no usable file of cifar10: not read, as it is no pickle of plain arrays" in message(
            tmp_path
        )


class Attack:
    """Pickled, it is a call of `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_runs_something_is_refused_and_does_not_run_it(
    protocol: int, tmp_path: Path, write_cifar: Write
) -> None:
    write_cifar(tmp_path)
    trace = tmp_path / "trace"
    attacks = [
        Attack(os.mkdir, str(trace)),
        Attack(exec, f"import os; os.mkdir({str(trace)!r})"),
        Attack(getattr, "text", "upper"),
        Attack(np.load, "somewhere", None, True),
    ]
    for attack in attacks:
        for content in (attack, {b"data": ROW, b"labels": [1, 2], b"more": attack}):
            (tmp_path / "test_batch").write_bytes(pickle.dumps(content, protocol))
            text = message(tmp_path)
            assert "test_batch is no usable file of cifar10" in text
            assert "which no array of pixels needs" in text
            assert not trace.exists()


def test_a_pickle_in_the_archive_is_refused_as_well(tmp_path: Path, write_cifar: Write) -> None:
    write_cifar(tmp_path / FOLDER)
    (tmp_path / FOLDER / "data_batch_1").write_bytes(pickle.dumps(Attack(os.mkdir, str(tmp_path / "trace"))))
    assert "which no array of pixels needs" in message(pack(tmp_path / FOLDER).parent)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy\nndarray\n(N}Vcall\nI1\nstb.",  # attributes of an admitted name
        b"cnumpy\nndarray\n}Vcall\nI1\nsb.",
        b"cnumpy\nndarray\n)R.",  # an array made by calling its class
        b"cnumpy\nndarray\n)\x81.",
        b"cnumpy\nndarray.tofile\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        b"cnumpy.core.multiarray\n_reconstruct\n)R(I1\n(I9\ntcnumpy\ndtype\n(S'u1'\ntRI00\nS'ab'\ntb.",  # too few bytes
        b"cnumpy.core.multiarray\n_reconstruct\n)R(I1\n(I2\ntNI00\nS'ab'\ntb.",  # no element type
        b"Psomebody\n.",  # a persistent name
        b"\x80\x02\x82\x01.",  # a registered extension
    ],
)
def test_a_pickle_cannot_reach_or_change_anything_by_the_names_that_are_admitted(program: bytes) -> None:
    before = {key: name.call for key, name in plain_pickle._ADMITTED.items()}
    with pytest.raises(ValueError, match="no pickle of plain arrays"):
        load_plain(io.BytesIO(program))
    assert before == {key: name.call for key, name in plain_pickle._ADMITTED.items()}


def test_a_pickle_cannot_set_attributes_of_an_element_type() -> None:
    found = load_plain(io.BytesIO(b"cnumpy\ndtype\n(S'u1'\ntR(N}Vanything\nI1\nstb."))
    assert not hasattr(found, "anything")
