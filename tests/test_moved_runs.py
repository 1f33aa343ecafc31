"""A run finds its data again from every folder: a relative path stays as it was typed, and where it began is known."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli
from typer.testing import Result

from eb_core import load_run, resume

Eb = Callable[..., Result]

TABLE = "a,b,kind\n" + "".join(f"{i % 7 / 7},{i % 5 / 5},{i % 2}\n" for i in range(60))
OWN = ["train", "--dataset", "csv", "--model-opt", "hidden=[4]", "--batch-size", "8", "--json", "--epochs"]


@pytest.mark.parametrize(
    "flags",
    [["--dataset-opt", "file=mine.csv"], ["--data-dir", "data", "--dataset-opt", "file=theirs.csv"]],
    ids=["relative file", "relative --data-dir"],
)
def test_a_run_is_evaluated_and_resumed_from_another_folder(
    eb: Eb, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    Path("data").mkdir()
    Path("mine.csv").write_text(TABLE)
    Path("data/theirs.csv").write_text(TABLE)
    result = eb(*OWN, "2", *flags)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    run = Path(report["run"]).absolute()
    assert tomli.loads((run / "recipe.toml").read_text())["dataset"]["file"] == flags[-1].removeprefix("file=")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    evaluated = eb("evaluate", run, "--json")
    assert evaluated.exit_code == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["accuracy"] == report["test"]["accuracy"]
    Path(flags[-1].removeprefix("file=")).write_text("a,b,kind\n1,2,0\n2,1,1\n" * 9)
    assert eb("evaluate", run, "--json").stdout == evaluated.stdout, "a file of the same name is another one"
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"status": "interrupted"}))
    assert len(resume(run).reports) == 2
    assert load_run(run).classes == 2


def test_a_file_that_has_changed_is_still_refused_and_one_that_is_gone_is_named_where_it_was_looked_for(
    eb: Eb, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.csv").write_text(TABLE)
    run = Path(json.loads(eb(*OWN, "1", "--dataset-opt", "file=mine.csv").stdout)["run"]).absolute()
    table = Path("mine.csv").absolute()
    table.write_text(TABLE + "0,0,0\n")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert "the data differs from what the run was trained on" in eb("evaluate", run).stderr
    table.unlink()
    refused = eb("evaluate", run)
    assert (refused.exit_code, "there is no file 'mine.csv'" in refused.stderr) == (2, True)
