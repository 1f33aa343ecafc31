"""Paths that lead nowhere, in circles, to pipes, devices and folders, or may not be followed: one error each."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eb_core import Dataset, UsageError
from eb_datasets.cifar10 import Cifar10
from eb_datasets.csv_table import Csv
from eb_datasets.mnist import Mnist
from eb_datasets.npz import Npz
from eb_datasets.svhn import Svhn

Write = Callable[..., Any]

OWN = [Npz, Csv]
PUBLISHED = [Mnist(), Cifar10(), Svhn()]
FIRST = {Mnist: "train-images-idx3-ubyte.gz", Cifar10: "data_batch_1", Svhn: "train_32x32.mat"}


def refused(dataset: Dataset, folder: Path | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        dataset.load(folder)
    assert len(caught.value.faults) == 1, "one error"
    assert caught.value.faults[0].origin
    assert caught.value.faults[0].advice
    assert len(str(caught.value)) < 3000
    return caught.value.faults[0].what


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("x" * 5000, "a path cannot be followed: File name too long"),
        ("~nosuch-person/a.npz", "there is no home folder '~nosuch-person'"),
        ("a\0b", "a path cannot be followed: embedded null byte"),
        ("circle", "a path cannot be followed: Too many levels of symbolic links"),
        ("circle/a.npz", "a path cannot be followed: Too many levels of symbolic links"),
        ("pipe", "'pipe' is a pipe or device and no file"),
        ("/dev/zero", "'/dev/zero' is a pipe or device and no file"),
        (".", "'.' is a folder and no file"),
        ("", "'' is a folder and no file"),
        ("nothing", "there is no file 'nothing'"),
        ("file/nothing", "there is no file 'file/nothing'"),
        ("dangling", "there is no file 'dangling'"),
        ("\udcff", "there is no file"),
    ],
)
def test_a_path_of_one_s_own_that_leads_to_no_file_is_one_error(
    kind: Any, name: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("circle").symlink_to("circle")
    Path("dangling").symlink_to("nothing")
    Path("file").write_text("")
    os.mkfifo("pipe")
    assert refused(kind(file=name)).startswith(complaint)
    assert refused(kind(file=name), tmp_path).startswith(complaint)


@pytest.mark.parametrize("dataset", [*PUBLISHED, *(kind(file="a") for kind in OWN)], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    ("folder", "complaint"),
    [
        ("x" * 5000, "a path cannot be followed: File name too long"),
        ("~nosuch-person", "there is no home folder '~nosuch-person'"),
        ("circle", "a path cannot be followed: Too many levels of symbolic links"),
        ("file", None),
        ("pipe", None),
        ("/dev/null", None),
        ("nothing", None),
    ],
)
def test_a_folder_that_cannot_be_looked_into_is_one_error_however_it_is_named(
    dataset: Dataset, folder: str, complaint: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("circle").symlink_to("circle")
    Path("file").write_text("")
    os.mkfifo("pipe")
    missing = "there is no file 'a'" if isinstance(dataset, (Npz, Csv)) else " is not on this computer: it needs "
    assert (complaint or missing) in refused(dataset, Path(folder))
    monkeypatch.setenv("EB_DATA_DIR", folder)
    assert (complaint or missing) in refused(dataset)


@pytest.mark.parametrize("dataset", PUBLISHED, ids=lambda one: type(one).__name__)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(
    dataset: Any, tmp_path: Path, write_idx: Write, write_cifar: Write, write_svhn: Write
) -> None:
    for write in (write_idx, write_cifar, write_svhn):
        write(tmp_path)
    name = FIRST[type(dataset)]
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    assert refused(dataset, tmp_path).endswith(f" is not complete without {name}")


def test_a_folder_without_permission_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat

    def forbidden(path: Path, **options: Any) -> Any:
        if path.is_relative_to(tmp_path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", forbidden)
    for dataset in (*PUBLISHED, Npz(file="a"), Csv(file="a")):
        assert refused(dataset, tmp_path) == "a path cannot be followed: Permission denied"


@pytest.mark.parametrize("failure", [PermissionError(13, "Permission denied"), FileNotFoundError(2, "No such file")])
@pytest.mark.parametrize("kind", OWN)
def test_a_file_that_may_not_be_read_or_has_gone_is_one_error(
    kind: Any, failure: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("1,0\n2,1\n")

    def fail(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr(Path, "open", fail)
    assert str(failure) in refused(kind(file="a"), tmp_path)


def test_a_cache_folder_that_cannot_be_made_is_one_error(machine: Path) -> None:
    machine.mkdir()
    (machine / "cache").write_text("a file")
    assert "cannot be downloaded" in refused(Mnist(download=True))


def test_a_link_to_a_file_is_as_good_as_the_file(tmp_path: Path, write_svhn: Write) -> None:
    write_svhn(tmp_path / "there")
    (tmp_path / "here").mkdir()
    for path in (tmp_path / "there").iterdir():
        (tmp_path / "here" / path.name).symlink_to(path)
    assert len(Svhn().load(tmp_path / "here").train) == 30
    shutil.rmtree(tmp_path / "there")
    assert "svhn is not on this computer" in refused(Svhn(), tmp_path / "here")
