"""A folder of runs may hold anything: the damaged ones are called so, the others are listed, and nothing hangs."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_cli_runs import trained
from typer.testing import Result

Eb = Callable[..., Result]
Damage = Callable[[Path], object]


def manifest(**facts: Any) -> Damage:
    def rewrite(run: Path) -> None:
        file = run / "manifest.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | facts))

    return rewrite


def metrics(line: Any) -> Damage:
    def append(run: Path) -> None:
        with (run / "metrics.jsonl").open("a") as file:
            file.write((line if isinstance(line, str) else json.dumps(line)) + "\n")

    return append


def content(name: str, put: Callable[[Path], object]) -> Damage:
    def replace(run: Path) -> None:
        (run / name).unlink()
        put(run / name)

    return replace


def huge(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(40 * 2**30)


SCORE = {"loss": 0.5, "accuracy": 0.5}
FILES = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "loop": lambda file: file.symlink_to(file.name),
    "device": lambda file: file.symlink_to("/dev/zero"),
    "nowhere": lambda file: file.symlink_to("/nowhere/at/all"),
    "not utf-8": lambda file: file.write_bytes(b'{"a": "\xff"}\n'),
    "deep": lambda file: file.write_text("[" * 200_000 + "\n"),
    "nearly deep": lambda file: file.write_text('{"format": 1, "recipe": ' + "[" * 700 + "]" * 700 + "}\n"),
    "long number": lambda file: file.write_text("9" * 5000 + "\n"),
    "huge": huge,
    "zeros": lambda file: file.write_bytes(b"\x00" * 100 + b"\n"),
}
DAMAGES: dict[str, Damage] = {
    "no recipe": manifest(recipe=None),
    "a recipe of lists": manifest(recipe={"model": ["mlp"]}),
    "a status of another kind": manifest(status={"a": 1}),
    "a test that is text": manifest(test="0.9"),
    "a test of text": manifest(test={"loss": "0.1", "accuracy": "0.9"}),
    "a test beyond all": manifest(test={"loss": 0.1, "accuracy": 1e308}),
    "a test that is no number": manifest(test={"loss": 0.1, "accuracy": float("nan")}),
    "a best epoch of text": manifest(best_epoch="3"),
    "a process of text": manifest(status="running", process="me"),
    "a process without number": manifest(status="running", process={"host": "x", "pid": None}),
    "no format": manifest(format=None),
    "metrics null": metrics(None),
    "metrics list": metrics([]),
    "metrics number": metrics(3),
    "metrics empty table": metrics({}),
    "metrics of text": metrics({"epoch": "1", "train": SCORE}),
    "metrics with a validation of null": metrics({"epoch": 4, "train": SCORE, "validation": None}),
    "metrics with an accuracy of text": metrics({"epoch": 4, "train": SCORE | {"accuracy": "0.5"}}),
    "metrics that are no JSON": metrics("{"),
    **{f"manifest {what}": content("manifest.json", put) for what, put in FILES.items()},
    **{f"metrics {what}": content("metrics.jsonl", put) for what, put in FILES.items() if what != "nowhere"},
}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes to make")
def test_damaged_runs_are_called_so_and_hide_no_other_run(eb: Eb) -> None:
    good = trained(eb)
    for index, damage in enumerate(DAMAGES.values()):
        run = Path("runs") / f"damaged-{index}"
        shutil.copytree(good, run)
        damage(run)
    (Path("runs") / "loop").symlink_to("loop")
    (Path("runs") / "file").write_text("no run")
    shown = eb("runs", "--json")
    assert shown.exit_code == 0, shown.stderr
    status = {record["name"]: record["status"] for record in json.loads(shown.stdout)}
    damaged = ["loop", *(f"damaged-{index}" for index in range(len(DAMAGES)))]
    assert status == {good.name: "finished"} | dict.fromkeys(damaged, "damaged")
    table = eb("runs")
    assert (table.exit_code, good.name in table.stdout) == (0, True)
    for index, what in enumerate(DAMAGES):
        run = Path("runs") / f"damaged-{index}"
        result = eb("compare", good, run)
        assert result.exit_code == 2, what
        assert result.stderr.count("error:") == 1, what
        assert str(run) in result.stderr, what


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes to make")
@pytest.mark.parametrize("what", ["no recipe", "manifest pipe", "manifest deep", "manifest loop", "manifest huge"])
def test_a_damaged_run_is_one_error_whatever_is_asked_of_it(eb: Eb, what: str) -> None:
    run = trained(eb)
    DAMAGES[what](run)
    for line in (["evaluate", run], ["train", "--resume", run], ["relax", run, "--steps", "2"]):
        result = eb(*line)
        assert result.exit_code == 2, result.stderr
        assert result.stderr.count("error:") == 1
        assert str(run) in result.stderr


def test_numbers_that_are_not_finite_are_shown_and_are_null_in_json(eb: Eb) -> None:
    run = trained(eb)
    manifest(test={"loss": float("nan"), "accuracy": 0.25, "samples": 4})(run)
    metrics({"epoch": 4, "train": SCORE | {"loss": float("inf")}, "validation": SCORE | {"loss": float("nan")}})(run)
    assert json.loads(eb("runs", "--json").stdout)[0]["test"] == 0.25
    assert eb("compare", run, run).exit_code == 0


def test_a_folder_that_cannot_be_listed_is_one_error(eb: Eb) -> None:
    Path("loop").symlink_to("loop")
    Path("file").touch()
    for folder in ("loop", "file", "x" * 5000):
        result = eb("runs", folder)
        assert (result.exit_code, result.stderr.count("error:")) == (2, 1)
