"""`eb train` and `eb evaluate`: what they write can be trusted, repeated and read by a machine."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from typer.testing import Result

Eb = Callable[..., Result]

TINY = ["train", "--dataset", "tiny_parts:Tiny", "--model-opt", "hidden=[4]", "--epochs", "1"]


def trained(eb: Eb, *more: str) -> Any:
    """The one JSON document of a training that must succeed."""
    result = eb(*TINY, "--json", *more)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def metrics(run: str) -> list[dict[str, Any]]:
    """The lines of a run, without the seconds."""
    lines = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    assert all(line.pop("seconds") > 0 for line in lines)
    return lines


def weights(run: str) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((Path(run) / "weights.safetensors").read_bytes())


def manifest(run: str | Path) -> dict[str, Any]:
    return json.loads((Path(run) / "manifest.json").read_text())


def the_run(folder: Path = Path("runs")) -> Path:
    """The one run directory in a folder."""
    (run,) = folder.iterdir()
    return run


def test_a_training_writes_a_complete_run_directory_and_says_where(eb: Eb) -> None:
    result = eb(*TINY, "--epochs", "2")
    assert result.exit_code == 0
    run = the_run()
    assert sorted(file.name for file in run.iterdir()) == [
        "manifest.json",
        "metrics.jsonl",
        "recipe.toml",
        "weights.safetensors",
    ]
    assert manifest(run)["status"] == "finished"
    assert [line["epoch"] for line in metrics(str(run))] == [1, 2]
    for shown in ("test accuracy", f"eb train --recipe {run}/recipe.toml", f"eb evaluate {run}"):
        assert shown in result.stdout


def test_json_is_one_document_even_if_a_component_prints(eb: Eb) -> None:
    report = trained(eb, "--rule", "tiny_parts:Loud")
    assert report["test"]["samples"] == 10
    assert [epoch["epoch"] for epoch in report["epochs"]] == [1]
    assert manifest(report["run"])["status"] == "finished"


def test_the_recipe_of_a_run_reproduces_it(eb: Eb) -> None:
    first = trained(eb, "--epochs", "2", "--seed", "5", "--rule", "p-ep", "--relaxer", "gradient-flow", "--lr", ".1")
    recipe = Path(first["run"]) / "recipe.toml"
    result = eb("train", "--trust", "--recipe", recipe, "--json", "--out", "again")
    again = json.loads(result.stdout)
    assert metrics(again["run"]) == metrics(first["run"])
    assert again["test"] == first["test"]
    before, after = weights(first["run"]), weights(again["run"])
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert tomllib.loads(recipe.read_text()) == tomllib.loads((Path(again["run"]) / "recipe.toml").read_text())


def test_another_seed_gives_other_weights(eb: Eb) -> None:
    first, second = (weights(trained(eb, "--seed", seed)["run"]) for seed in "01")
    assert not all(torch.equal(first[name], second[name]) for name in first)


def test_a_dry_run_loads_no_data_and_writes_nothing(eb: Eb) -> None:
    result = eb("train", "--dataset", "tiny_parts:Untouchable", "--epochs", "7", "--dry-run")
    assert result.exit_code == 0
    assert "--epochs 7" in result.stdout
    assert list(Path().iterdir()) == []


def test_a_dry_run_tells_where_every_setting_came_from(eb: Eb) -> None:
    Path("own.toml").write_text("[trainer]\nlr = 0.5\nbatch_size = 7\n")
    result = eb("train", "--lr", ".25", "--recipe", "own.toml", "--dry-run", "--json")
    shown = json.loads(result.stdout)
    settings, origins = shown["recipe"]["trainer"], shown["origins"]["trainer"]
    default_recipe = tomllib.loads(json.loads(eb("describe", "recipe", "mlp", "--json").stdout)["toml"])
    assert {name: (settings[name], origins[name]) for name in ("lr", "batch_size", "epochs", "momentum")} == {
        "lr": (0.25, "--lr .25"),
        "batch_size": (7, "own.toml [trainer]"),
        "epochs": (default_recipe["trainer"]["epochs"], "recipe 'mlp' [trainer]"),
        "momentum": (0.0, "default"),
    }
    assert (shown["recipe"]["rule"]["variant"], shown["origins"]["rule"]["variant"]) == ("centered", "preset 'c-ep'")


def test_a_later_recipe_lies_over_an_earlier_one(eb: Eb) -> None:
    for name, rate in (("a", 0.5), ("b", 0.125)):
        Path(f"{name}.toml").write_text(f"[trainer]\nlr = {rate}\n")
    for line, rate in ((["a.toml", "b.toml"], 0.125), (["b.toml", "a.toml"], 0.5)):
        flags = [word for name in line for word in ("--recipe", name)]
        shown = json.loads(eb("train", *flags, "--dry-run", "--json").stdout)
        assert shown["recipe"]["trainer"]["lr"] == rate


def test_several_seeds_are_summed_up_as_mean_and_deviation(eb: Eb) -> None:
    result = eb(*TINY, "--seeds", "2", "--seed", "3")
    assert result.exit_code == 0
    assert sorted(manifest(run)["seed"] for run in Path("runs").iterdir()) == [3, 4]
    report = trained(eb, "--seeds", "2", "--seed", "3", "--out", "again")
    scores = [run["test"]["accuracy"] for run in report["runs"]]
    assert [run["seed"] for run in report["runs"]] == [3, 4]
    assert report["mean"] == pytest.approx(sum(scores) / 2)
    assert report["std"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
    assert f"test accuracy {report['mean']:.2%} ± {report['std']:.2%} over 2 seeds (mean ± std)" in result.stdout


def test_evaluating_a_run_gives_the_test_score_of_its_training(eb: Eb) -> None:
    report = trained(eb)
    evaluated = json.loads(eb("evaluate", "--trust", report["run"], "--json").stdout)
    assert {name: evaluated[name] for name in ("loss", "accuracy", "samples")} == report["test"]
    other = eb("evaluate", "--trust", report["run"], "--dataset", "tiny_parts:Tiny")
    assert f"accuracy {report['test']['accuracy']:.2%}" in other.stdout


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--rule", "tiny_parts:Poisoned"], "the loss is not finite in epoch 1"),
        (["--rule", "tiny_parts:Faulty"], "KeyError: 'key that is not there'"),
    ],
)
def test_a_run_that_fails_says_so_on_stderr_and_in_its_directory(eb: Eb, flags: list[str], reason: str) -> None:
    result = eb(*TINY, *flags, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"error: {reason}" in result.stderr
    assert "Traceback" not in result.stderr
    run = the_run()
    assert manifest(run)["status"] == "failed"
    assert reason in manifest(run)["reason"]
    assert str(run) in result.stderr
    assert weights(str(run))
