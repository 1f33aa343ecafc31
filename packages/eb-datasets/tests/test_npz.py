"""Your own arrays in a .npz file."""

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
