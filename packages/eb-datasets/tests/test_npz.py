"""Your own arrays in a .npz file."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eb_core import UsageError
from eb_core.testing import check_dataset
from eb_datasets.npz import Npz

X = np.arange(60, dtype=np.float32).reshape(10, 2, 3) / 60
Y = np.arange(10) % 3


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def message(file: str) -> str:
    with pytest.raises(UsageError) as caught:
        Npz(file=file).load()
    assert len(caught.value.faults) == 1, "one error"
    assert caught.value.faults[0].origin == file
    return str(caught.value)


def test_npz_keeps_the_promises_of_a_data_set(tmp_path: Path) -> None:
    save(tmp_path / "mine.npz", x_train=X, y_train=Y)
    check_dataset(Npz(file="mine.npz"), tmp_path)


def test_arrays_come_back_as_they_are_with_or_without_a_test_split(tmp_path: Path) -> None:
    data = Npz(file=save(tmp_path / "a.npz", x_train=X, y_train=Y)).load()
    assert torch.equal(data.train.x, torch.from_numpy(X))
    assert (data.train.y.tolist(), data.test, data.classes, data.name) == (Y.tolist(), None, 3, "a.npz")
    data = Npz(file=save(tmp_path / "b.npz", x_train=X, y_train=Y, x_test=X[:4], y_test=Y[:4], more=X)).load()
    assert data.test is not None
    assert torch.equal(data.test.x, torch.from_numpy(X[:4]))
    assert data.test.y.tolist() == Y[:4].tolist()


@pytest.mark.parametrize(
    ("stored", "loaded"),
    [
        ("u1", torch.float32),
        ("?", torch.float32),
        (">u2", torch.float32),
        ("i8", torch.float32),
        ("f2", torch.float32),
        (">f4", torch.float32),
        (">f8", torch.float64),
        ("f8", torch.float64),
    ],
)
def test_every_type_of_number_is_loaded_as_a_float_that_torch_knows(
    stored: str, loaded: torch.dtype, tmp_path: Path
) -> None:
    x, y = (X * 60).astype(stored), Y.astype(">u2")
    data = Npz(file=save(tmp_path / "a.npz", x_train=x, y_train=y)).load()
    assert data.train.x.dtype == loaded
    assert np.array_equal(data.train.x.numpy(), x.astype(np.float64))
    assert data.train.y.tolist() == Y.tolist()


def test_samples_of_both_splits_can_be_divided(tmp_path: Path) -> None:
    pixels = (X * 255).astype(np.uint8)
    file = save(tmp_path / "a.npz", x_train=pixels, y_train=Y, x_test=pixels[:3], y_test=Y[:3])
    data = Npz(file=file, divide_by=255).load()
    assert data.test is not None
    for split in (data.train, data.test):
        assert np.array_equal(split.x.numpy(), pixels[: len(split)].astype(np.float32) / 255)


def test_the_file_is_looked_for_in_the_data_folder_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, count in ((here, 3), (there, 5)):
        folder.mkdir()
        save(folder / "mine.npz", x_train=X[:count], y_train=Y[:count])
    monkeypatch.chdir(here)
    mine = Npz(file="mine.npz")
    assert (len(mine.load().train), len(mine.load(there).train)) == (3, 5)
    monkeypatch.setenv("EB_DATA_DIR", str(there))
    assert len(mine.load().train) == 5
    (there / "mine.npz").unlink()
    assert len(mine.load().train) == 3
    (here / "mine.npz").unlink()
    with pytest.raises(UsageError, match=r"there is no file 'mine\.npz'") as caught:
        mine.load()
    assert caught.value.faults[0].origin == f"looked for {there / 'mine.npz'}, {here / 'mine.npz'}"
    assert "--data-dir" in caught.value.faults[0].advice


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"a": X, "b": Y}, "it holds a, b"),
        ({}, "it holds nothing"),
        ({"x_train": X}, "it holds x_train"),
        ({"y_train": Y}, "it holds y_train"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "it holds x_test, x_train, y_train"),
        ({"x_train": X, "y_train": Y, "y_test": Y}, "it holds x_train, y_test, y_train"),
        ({"x_train": X.astype(complex), "y_train": Y}, "x_train has the type complex128, expected are numbers"),
        ({"x_train": X.astype(str), "y_train": Y}, "expected are numbers"),
        ({"x_train": X, "y_train": Y.astype(float)}, "y_train has the type float64, expected are whole numbers"),
        ({"x_train": X, "y_train": Y > 0}, "y_train has the type bool, expected are whole numbers"),
    ],
)
def test_what_is_missing_or_of_the_wrong_type_is_said(arrays: Any, complaint: str, tmp_path: Path) -> None:
    text = message(save(tmp_path / "a.npz", **arrays))
    assert "a.npz is no .npz file of a data set" in text
    assert complaint in text
    assert "numpy.savez" in text


class Trap:
    """Pickled and read again, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        import os

        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["x_train", "y_train"])
def test_pickled_objects_are_refused_and_not_made(name: str, tmp_path: Path) -> None:
    objects = np.array([Trap(tmp_path / "trace")] * 10, dtype=object)
    file = save(tmp_path / "a.npz", **{"x_train": X, "y_train": Y, name: objects})
    assert "allow_pickle=False" in message(file)
    assert not (tmp_path / "trace").exists()


def test_files_of_another_kind_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", x_train=X, y_train=Y)
    path = Path(file)
    whole = path.read_bytes()
    middle = whole.index(X.tobytes())
    for content in (b"", b"text", whole[:-100], whole[:middle] + b"\xff" + whole[middle + 1 :]):
        path.write_bytes(content)
        assert "a.npz is no .npz file of a data set" in message(file)
    np.save(tmp_path / "single.npy", X)
    (tmp_path / "single.npy").rename(path)
    assert "a single array, without names" in message(file)


def test_lengths_labels_and_values_are_checked_with_the_name_of_the_file(tmp_path: Path) -> None:
    for arrays, complaint in (
        ({"x_train": X, "y_train": Y[:9]}, "labels of shape"),
        ({"x_train": X, "y_train": Y - 1}, "labels outside"),
        ({"x_train": X * np.nan, "y_train": Y}, "nan or infinite"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y}, "test samples of shape"),
    ):
        with pytest.raises(UsageError, match=complaint) as caught:
            Npz(file=save(tmp_path / "a.npz", **arrays)).load()
        assert "a.npz" in caught.value.faults[0].origin


def npy(header: str, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """A file in the format NPY with a header of one's own."""
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    return b"\x93NUMPY" + version + size + header.encode("latin1") + content


def whole(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def archive(path: Path, x: bytes, method: int = zipfile.ZIP_DEFLATED) -> str:
    """A file whose x_train is given byte by byte."""
    with zipfile.ZipFile(path, "w", method) as out:
        out.writestr("x_train.npy", x)
        out.writestr("y_train.npy", whole(Y))
    return str(path)


DEEP = "(" * 90 + ")" * 90


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10, 1000000000)}"), "40,000,000,000 bytes"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10, 1)}", b"1234"), "but its file holds 4"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10, 1)}", b"1" * 41), "but its file holds 41"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-10, -1)}", b"1" * 40), "shape (-10, -1)"),
        (npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (10, {10**30})}}"), "its file holds 0"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10, 1)"), "x_train is no array"),
        (npy("{'descr': '|S0', 'fortran_order': False, 'shape': (10, 1)}"), "expected are numbers"),
        (npy("-" * 9000 + "1"), "x_train is no array"),
        (npy(DEEP), "x_train is no array"),
        (npy("{", version=b"\3\0"), "x_train is no array"),
        (npy("x" * 20000), "x_train is no array"),
        (npy("", version=b"\7\7"), "x_train is no array"),
        (b"text", "x_train is no array"),
        (b"", "x_train is no array"),
    ],
)
def test_what_a_header_declares_is_judged_before_memory_is_taken(x: bytes, complaint: str, tmp_path: Path) -> None:
    file = archive(tmp_path / "a.npz", x)
    tracemalloc.start()
    assert complaint in message(file)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_an_archive_that_unpacks_to_more_than_there_is_memory_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = archive(tmp_path / "a.npz", whole(np.zeros((10, 1_000_000), dtype=np.float32)))
    assert Path(file).stat().st_size < 60_000
    assert len(Npz(file=file).load().train) == 10
    monkeypatch.setattr("eb_datasets.limits.memory", lambda: 2**27)
    assert "x_train would take 0.1 GiB of 0.1 GiB of memory" in message(file)


def test_an_archive_that_says_it_unpacks_to_more_than_it_can_is_refused(tmp_path: Path) -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (10, 100000000)}"
    path = Path(archive(tmp_path / "a.npz", npy(header)))
    raw = path.read_bytes()
    size = struct.pack("<I", len(npy(header)))
    path.write_bytes(raw.replace(size, struct.pack("<I", len(npy(header)) + 4 * 10**9)))
    assert "4,000,000,000 bytes, more than" in message(str(path))


def test_encrypted_members_and_methods_that_are_not_known_are_refused(tmp_path: Path) -> None:
    path = Path(archive(tmp_path / "a.npz", whole(X)))
    raw = path.read_bytes()
    for at, value, complaint in ((6, 1, "encrypted"), (8, 99, "compression method is not supported")):
        changed = bytearray(raw)
        changed[at] = changed[raw.index(b"PK\1\2") + at + 2] = value
        path.write_bytes(changed)
        assert complaint in message(str(path))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_packing_that_python_knows_is_read(method: int, tmp_path: Path) -> None:
    assert torch.equal(Npz(file=archive(tmp_path / "a.npz", whole(X), method)).load().train.x, torch.from_numpy(X))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["x_train.npy", "x_train"])
def test_a_name_that_occurs_twice_is_refused(other: str, tmp_path: Path) -> None:
    file = archive(tmp_path / "a.npz", whole(X))
    with zipfile.ZipFile(file, "a") as out:
        out.writestr(other, whole(X))
    assert "it holds x_train more than once" in message(file)


@pytest.mark.parametrize(
    "x", [np.asfortranarray(X), X[:, ::-1], np.broadcast_to(X[:1], X.shape), X.astype(np.longdouble), X.astype("<f2")]
)
def test_arrays_of_any_layout_are_read(x: Any, tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", x_train=x, y_train=Y)
    assert np.array_equal(Npz(file=file).load().train.x.numpy(), x.astype(np.float64))


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"x_train": np.zeros(10, dtype=[("a", "f4")])}, "expected are numbers"),
        ({"x_train": np.zeros((10, 2), dtype="M8[s]")}, "expected are numbers"),
        ({"x_train": np.float32(1)}, "no samples: x has shape ()"),
        ({"x_train": X[:, 0, 0]}, "no samples: x has shape (10,)"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "no samples"),
        ({"x_train": X[:, :0]}, "no samples"),
        ({"y_train": Y[:, None]}, "labels of shape (10, 1)"),
        ({"y_train": np.int64(1)}, "labels of shape ()"),
        ({"y_train": np.full(10, 2**63, dtype="u8")}, "whole numbers end at 2^63 - 1"),
        ({"y_train": Y + 20241103}, "labels go up to 20241105, but there are only 3 different ones"),
        ({"x_train": np.full((10, 1), np.longdouble("1e4000"))}, "nan or infinite"),
    ],
)
def test_arrays_of_an_unusable_shape_or_type_are_one_error(arrays: Any, complaint: str, tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", **{"x_train": X, "y_train": Y, **arrays})
    with pytest.raises(UsageError) as caught:
        Npz(file=file).load()
    assert len(caught.value.faults) == 1
    assert complaint in caught.value.faults[0].what


def test_a_divisor_that_makes_values_infinite_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", x_train=X, y_train=Y)
    with pytest.raises(UsageError, match="nan or infinite"):
        Npz(file=file, divide_by=1e-300).load()


def test_the_number_of_classes_can_be_stated(tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", x_train=X, y_train=Y * 50)
    with pytest.raises(UsageError, match="labels go up to 100, but there are only 3 different ones"):
        Npz(file=file).load()
    assert Npz(file=file, classes=200).load().classes == 200
