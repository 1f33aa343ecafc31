"""A trained net meets other data prepared as those that it learnt from, unless something else is typed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registered import REGISTRY
from typer.testing import Result

import eb_core as eb
from eb_core import UsageError
from eb_core.training.preparation import prepared_as

Eb = Callable[..., Result]


@pytest.fixture(scope="module")
def normalised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    path = eb.train(
        {"name": "mlp", "hidden": [16]}, dataset={"name": "digits", "normalise": True}, epochs=2, threads=1, out=folder
    ).path
    assert path is not None
    return path


def own_file(folder: Path) -> Path:
    random = np.random.default_rng(0)
    arrays = {f"x_{part}": random.random((20, 1, 8, 8), np.float32) for part in ("train", "test")}
    np.savez(folder / "own.npz", **arrays, y_train=np.arange(20) % 10, y_test=np.arange(20) % 10)
    return folder / "own.npz"


def evaluated(eb_command: Eb, run: Path, *flags: Any) -> Any:
    return json.loads(eb_command("evaluate", run, *flags, "--json").stdout)


def test_naming_the_data_set_of_the_run_prepares_it_as_in_the_run_and_says_so(eb: Eb, normalised: Path) -> None:
    own = evaluated(eb, normalised)
    same = evaluated(eb, normalised, "--dataset", "digits")
    assert same["accuracy"] == own["accuracy"]
    assert same["loss"] == own["loss"]
    assert same["notes"] == ["normalise = true, as the data of the run"]
    assert "note: normalise = true, as the data of the run" in eb("evaluate", normalised, "--dataset", "digits").stdout


def test_what_is_typed_goes_first(eb: Eb, normalised: Path) -> None:
    raw = evaluated(eb, normalised, "--dataset", "digits", "--dataset-opt", "normalise=false")
    assert raw["notes"] == []
    assert raw["loss"] > evaluated(eb, normalised)["loss"] + 0.05


def test_a_data_set_without_the_option_is_said_to_lack_it(eb: Eb, normalised: Path, tmp_path: Path) -> None:
    flags = ["--dataset", "npz", "--dataset-opt", f"file={own_file(tmp_path)}"]
    (note,) = evaluated(eb, normalised, *flags)["notes"]
    assert "prepared with normalise = true, which 'npz' does not know" in note


def test_relaxing_other_data_goes_the_same_way(eb: Eb, normalised: Path) -> None:
    flags = ["--steps", "2", "--repeats", "1", "--batch", "8", "--json"]
    own = json.loads(eb("relax", normalised, *flags).stdout)
    same = json.loads(eb("relax", normalised, "--dataset", "digits", *flags).stdout)
    assert "normalise = true, as the data of the run" in same["notes"]
    assert same["relaxers"][0]["energy"] == own["relaxers"][0]["energy"]


def run_on(folder: Path, dataset: str) -> Path:
    (folder / "recipe.toml").write_text(f"[dataset]\n{dataset}")
    return folder


@pytest.mark.parametrize(
    ("dataset", "other", "taken", "said"),
    [
        ('name = "mnist"\npad = true\nnormalise = true\n', "fashion-mnist", {"pad": True, "normalise": True}, 1),
        ('name = "npz"\nfile = "a"\ndivide_by = 255.0\n', "npz", {"divide_by": 255.0}, 1),
        ('name = "mnist-100"\ntest = "full"\npad = false\n', "mnist-100", {"test": "full", "pad": False}, 1),
        ('name = "cifar100"\nlabels = "coarse"\naugment = true\nlimit = 9\n', "cifar100", {"labels": "coarse"}, 1),
        ('name = "mnist"\npad = true\n', "svhn", {}, 1),
        ('name = "mnist"\ndownload = true\nsource = "http://a"\nlimit = 9\naugment = true\n', "mnist", {}, 0),
        ('name = "gone"\nnormalise = true\n', "digits", {"normalise": True}, 1),
        ('name = "csv"\nfile = "a"\nlabel = 3\ndelimiter = ";"\n', "csv", {"label": 3, "delimiter": ";"}, 1),
    ],
)
def test_what_prepares_samples_applies_and_nothing_else(
    tmp_path: Path, dataset: str, other: str, taken: dict[str, Any], said: int
) -> None:
    layer, notes = prepared_as(run_on(tmp_path, dataset), other, eb.registry.SettingsLayer(), REGISTRY)
    values = {name: value for name, (value, _) in layer.sections["dataset"].items() if name != "name"}
    assert values == taken
    assert len(notes) == said


def test_a_class_that_only_the_run_names_is_not_imported(tmp_path: Path) -> None:
    run = run_on(tmp_path, 'name = "antigravity:Geohash"\nnormalise = true\n')
    prepared_as(run, "digits", eb.registry.SettingsLayer(), REGISTRY)
    import sys

    assert "antigravity" not in sys.modules


def test_labels_that_the_net_has_no_class_for_are_refused() -> None:
    small = eb.Data.from_arrays(np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1]))
    large = eb.Data.from_arrays(np.zeros((4, 2), np.float32), np.array([0, 1, 2, 1]))
    net = eb.train({"name": "mlp", "hidden": [3]}, data=small, epochs=1, validation=0.0).net
    with pytest.raises(UsageError, match="label 2 for a network of 2 classes"):
        net.score(large)
