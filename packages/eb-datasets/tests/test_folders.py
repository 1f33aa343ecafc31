"""Where files are looked for, in which order, and what is said when they are nowhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pooch
import pytest

from eb_core import UsageError
from eb_datasets import folders
from eb_datasets.mnist import Mnist

Write = Callable[..., Any]


def count(data_dir: Path | None) -> int:
    """How many training images are found: every folder of a test holds another number."""
    return len(Mnist().load(data_dir).train)


def test_folders_are_tried_in_the_documented_order(
    tmp_path: Path, machine: Path, write_idx: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, environment = tmp_path / "named", tmp_path / "environment"
    places = [machine / "shared" / "mnist", machine / "cache" / "eb" / "mnist"]
    places += [environment, environment / "mnist"]
    monkeypatch.setenv("EB_DATA_DIR", str(environment))
    for images, place in enumerate(places, start=11):
        write_idx(place, train=images)
        assert count(None) == images
    assert count(named) == 12, "a folder that is named takes the place of the one in the environment"
    for images, place in enumerate([named, named / "mnist"], start=31):
        write_idx(place, train=images)
        assert count(named) == images


def test_the_system_folder_is_where_debian_puts_fashion_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert folders.folders("fashion-mnist", None)[-1] == Path("/usr/share/datasets/fashion-mnist")


def test_the_cache_folder_is_pooch_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert (
        folders.cache_folder("mnist") == pooch.os_cache("eb") / "mnist" == platformdirs.user_cache_path("eb") / "mnist"
    )


def test_a_home_folder_may_be_written_with_a_tilde(
    tmp_path: Path, write_idx: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(tmp_path / "data", train=17)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("EB_DATA_DIR", "~/data")
    assert count(None) == 17
    assert count(Path("~/data")) == 17


def test_a_missing_data_set_is_one_error_that_says_what_was_looked_for_where_and_how_to_get_it(
    tmp_path: Path, machine: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        Mnist().load(tmp_path / "nothing")
    assert len(caught.value.faults) == 1
    fault = caught.value.faults[0]
    files = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    assert fault.what == f"mnist is not on this computer: it needs {', '.join(f'{name}-ubyte.gz' for name in files)}"
    tried = ["nothing/mnist", "nothing", "machine/cache/eb/mnist", "machine/shared/mnist"]
    assert fault.origin == "looked in " + ", ".join(str(tmp_path / place) for place in tried)
    for way in ("--data-dir", "EB_DATA_DIR", "download=true"):
        assert way in fault.advice


def test_one_missing_file_is_named_and_not_taken_from_another_folder(
    tmp_path: Path, machine: Path, write_idx: Write
) -> None:
    write_idx(machine / "cache" / "eb" / "mnist")
    write_idx(tmp_path / "mine")
    (tmp_path / "mine" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UsageError) as caught:
        Mnist().load(tmp_path / "mine")
    assert caught.value.faults[0].what == "mnist is not complete without t10k-labels-idx1-ubyte.gz"
    assert str(tmp_path / "mine") in caught.value.faults[0].origin


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, write_idx: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(tmp_path)
    real = Path.open

    def forbidden(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name.startswith("t10k-images"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(UsageError, match=r"t10k-images-idx3-ubyte\.gz is no usable file of mnist.*Permission denied"):
        Mnist().load(tmp_path)
