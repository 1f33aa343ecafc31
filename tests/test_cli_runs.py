"""`eb train --resume`, `eb runs`, `eb compare` and predictions: what a run directory tells, and how a run goes on."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_startup import imported
from typer.testing import Result

from eb_core import GradientEstimate
from eb_rules.equilibrium_propagation import EquilibriumPropagation

Eb = Callable[..., Result]

TINY = ["train", "--dataset", "tiny_parts:Tiny", "--model-opt", "hidden=[4]", "--batch-size", "8", "--epochs", "3"]


def trained(eb: Eb, *more: str) -> Path:
    result = eb(*TINY, "--json", *more)
    assert result.exit_code == 0, result.stderr
    return Path(json.loads(result.stdout)["run"])


def stopped(eb: Eb, *more: str, after: int = 9) -> Path:
    """A run that got Ctrl-C in the third batch of the second epoch: five are in one, and two are for its advice."""
    calls = []

    def estimate(rule: EquilibriumPropagation, *args: Any, **kwargs: Any) -> GradientEstimate:
        calls.append(rule)
        if len(calls) > after:
            raise KeyboardInterrupt
        return original(rule, *args, **kwargs)

    original = EquilibriumPropagation.estimate
    before = set(Path().glob("runs/*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EquilibriumPropagation, "estimate", estimate)
        result = eb(*TINY, *more)
    assert result.exit_code == 130
    (path,) = set(Path().glob("runs/*")) - before
    assert f"eb train --resume {path}" in result.stderr
    return path


def rewrite(path: Path, **facts: Any) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | facts))


def dead_process() -> dict[str, Any]:
    """The record of a process of this host that has ended."""
    code = "import json; from eb_core.training.manifest import this_process; print(json.dumps(this_process()))"
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def test_ctrl_c_says_how_to_go_on_and_going_on_ends_as_if_nothing_had_happened(eb: Eb) -> None:
    path = stopped(eb)
    result = eb("train", "--trust", "--resume", path)
    assert result.exit_code == 0, result.stderr
    assert f"going on with {path} after epoch 1, batch 2 of the next" in result.stdout
    whole = trained(eb)
    assert (path / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert sorted(file.name for file in path.iterdir()) == sorted(file.name for file in whole.iterdir())


def test_the_report_of_a_resumed_run_as_json_holds_all_epochs(eb: Eb) -> None:
    path = stopped(eb)
    report = json.loads(eb("train", "--trust", "--resume", path, "--json").stdout)
    assert report["run"] == str(path)
    assert [epoch["epoch"] for epoch in report["epochs"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--lr", "0.1"], "--lr"),
        (["--epochs", "9", "--seed", "3"], "--epochs, --seed"),
        (["--model-opt", "hidden=[9]"], "--model-opt"),
        (["--out", "elsewhere"], "--out"),
        (["--dry-run"], "--dry-run"),
    ],
)
def test_settings_beside_resume_are_refused_by_name(eb: Eb, flags: list[str], named: str) -> None:
    path = stopped(eb)
    before = (path / "manifest.json").read_bytes()
    result = eb("train", "--trust", "--resume", path, *flags)
    assert result.exit_code == 2
    assert f"it does not go with {named}" in result.stderr
    assert (path / "manifest.json").read_bytes() == before


def test_a_finished_run_and_a_folder_that_is_none_are_not_resumed(eb: Eb) -> None:
    path = trained(eb)
    result = eb("train", "--trust", "--resume", path)
    assert result.exit_code == 2
    assert "there is nothing to resume" in result.stderr
    assert f"eb train --recipe {path}/recipe.toml" in result.stderr
    result = eb("train", "--resume", "nowhere")
    assert (result.exit_code, "nowhere is no run" in result.stderr) == (2, True)


def test_a_torn_checkpoint_is_one_error(eb: Eb) -> None:
    path = stopped(eb)
    file = path / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    result = eb("train", "--trust", "--resume", path)
    assert result.exit_code == 2
    assert result.stderr.count("error:") == 1
    assert "the checkpoint cannot be read" in result.stderr


def test_a_run_that_another_host_writes_is_taken_over_on_demand(eb: Eb) -> None:
    path = stopped(eb)
    rewrite(path, status="running", process={"host": "elsewhere", "pid": 7, "began": None})
    refused = eb("train", "--trust", "--resume", path)
    assert (refused.exit_code, "process 7 on elsewhere" in refused.stderr) == (2, True)
    assert f"eb train --resume {path} --take-over" in refused.stderr
    assert eb("train", "--trust", "--resume", path, "--take-over").exit_code == 0
    alone = eb("train", "--take-over")
    assert (alone.exit_code, "add --resume RUN" in alone.stderr) == (2, True)


def test_another_number_of_threads_is_noted(eb: Eb) -> None:
    path = stopped(eb)
    manifest = json.loads((path / "manifest.json").read_text())
    rewrite(path, machine=manifest["machine"] | {"threads": 99})
    result = eb("train", "--trust", "--resume", path)
    assert result.exit_code == 0
    assert "note: threads was 99 when the run began" in result.stdout


def test_ends_at_random_moments_change_nothing() -> None:
    script = Path(__file__).parents[1] / "benchmarks" / "kill_and_resume.py"
    done = subprocess.run(
        [sys.executable, script, "1", "--terms", "1", "--doubles", "1", "--epochs", "2"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 times SIGKILL, 1 times SIGTERM, 1 times Ctrl-C twice: 0 not as they should be" in done.stdout
    assert (done.stdout.count("killed, "), done.stdout.count("interrupted, ")) == (1, 2)


def test_runs_lists_what_was_trained_and_how_it_ended(eb: Eb) -> None:
    finished, interrupted, killed = trained(eb, "--seed", "5"), stopped(eb), stopped(eb, "--rule", "p-ep", after=3)
    rewrite(killed, status="running", process=dead_process())
    records = {record["name"]: record for record in json.loads(eb("runs", "--json").stdout)}
    assert {name: record["status"] for name, record in records.items()} == {
        finished.name: "finished",
        interrupted.name: "interrupted",
        killed.name: "killed",
    }
    manifest = json.loads((finished / "manifest.json").read_text())
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    record = records[finished.name]
    assert record["test"] == manifest["test"]["accuracy"]
    assert record["validation"] == max(line["validation"]["accuracy"] for line in lines)
    assert (record["seed"], record["model"], record["relaxer"], record["rule"]) == (5, "mlp", "hopfield", "c-ep")
    assert [records[path.name]["epochs"] for path in (finished, interrupted, killed)] == [3, 1, 0]
    assert records[killed.name]["validation"] is None
    shown = eb("runs").stdout
    assert all(text in shown for text in (finished.name, "finished", "interrupted", "killed", "1/3", "p-ep"))
    assert "eb train --resume runs/" in shown


def test_a_run_that_is_still_going_shows_as_running_and_one_of_another_host_is_believed(eb: Eb) -> None:
    from eb_core.training.manifest import this_process

    ours, theirs, reborn = trained(eb), trained(eb), trained(eb)
    rewrite(ours, status="running", process=this_process())
    rewrite(theirs, status="running", process=dead_process() | {"host": "elsewhere"})
    rewrite(reborn, status="running", process=this_process() | {"began": "another boot:1"})
    status = {record["name"]: record["status"] for record in json.loads(eb("runs", "--json").stdout)}
    assert [status[path.name] for path in (ours, theirs, reborn)] == ["running", "running", "killed"]


def test_a_folder_without_runs_is_said_to_be_empty_and_a_missing_one_is_an_error(eb: Eb) -> None:
    assert eb("runs").exit_code == 2
    Path("runs/odd").mkdir(parents=True)
    Path("runs/odd/notes.txt").touch()
    result = eb("runs")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no runs in runs" in result.stderr
    Path("runs/odd/manifest.json").write_text("{")
    assert json.loads(eb("runs", "--json").stdout)[0]["status"] == "damaged"
    assert "damaged" in eb("runs").stdout


def test_compare_shows_only_what_differs_and_how_the_runs_did(eb: Eb) -> None:
    first, second = trained(eb), trained(eb, "--lr", "0.25", "--rule", "p-ep")
    report = json.loads(eb("compare", first, second, "--json").stdout)
    assert report["differing"] == {
        "rule.name": ["c-ep", "p-ep"],
        "rule.variant": ["centered", "positive"],
        "trainer.lr": [0.003, 0.25],
    } | {key: values for key, values in report["differing"].items() if key == "rule.beta"}
    assert [run["test"] for run in report["runs"]] == [
        json.loads((path / "manifest.json").read_text())["test"]["accuracy"] for path in (first, second)
    ]
    shown = eb("compare", first, second).stdout
    assert "trainer.lr" in shown
    assert "trainer.epochs" not in shown
    assert all(f"{run['test']:.2%}" in shown for run in report["runs"])


def test_runs_of_one_recipe_are_said_to_be_the_same(eb: Eb) -> None:
    first, second = trained(eb), trained(eb)
    assert "the same recipe" in eb("compare", first, second).stdout


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_compare_draws_learning_curves(eb: Eb, ending: str) -> None:
    pytest.importorskip("matplotlib")
    first, second = trained(eb), stopped(eb)
    result = eb("compare", first, second, "--plot", f"curves.{ending}")
    assert result.exit_code == 0, result.stderr
    drawn = Path(f"curves.{ending}").read_bytes()
    if ending == "svg":
        assert all(text in drawn.decode() for text in (first.name, second.name, "validation", "accuracy", "epoch"))
    else:
        assert drawn.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["RUN"], "one run alone has nothing to differ from"),
        (["RUN", "nowhere"], "nowhere is no run"),
        (["RUN", "RUN", "--plot", "curves.gif"], "end it in .svg or .png"),
        (["RUN", "RUN", "--plot", "none/curves.svg"], "no folder"),
    ],
)
def test_compare_refuses_what_it_cannot_do(eb: Eb, line: list[str], message: str) -> None:
    path = str(trained(eb))
    result = eb("compare", *(word.replace("RUN", path) for word in line))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(Path().glob("curves*"))


def test_curves_without_matplotlib_are_one_error_with_the_command_that_helps(
    eb: Eb, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = trained(eb)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = eb("compare", path, path, "--plot", "curves.svg")
    assert result.exit_code == 2
    assert "pip install 'eb-core[plot]'" in result.stderr


def test_runs_and_compare_import_no_torch(eb: Eb) -> None:
    path = str(trained(eb))
    for line in (["runs"], ["runs", "--json"], ["compare", path, path]):
        code, modules, _ = imported(*line)
        assert (code or 0, modules) == (0, [])


def test_predictions_are_written_by_train_and_by_evaluate_alike(eb: Eb) -> None:
    path = trained(eb, "--predictions")
    result = eb("evaluate", "--trust", path, "--predictions", "own.npz", "--json")
    assert result.exit_code == 0
    first, second = np.load(path / "predictions.npz"), np.load("own.npz")
    assert sorted(first) == ["labels", "predicted", "readout"]
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert (first["labels"] == first["predicted"]).mean() == pytest.approx(json.loads(result.stdout)["accuracy"])
    assert first["readout"].shape == (10, 2)
    assert "predictions.npz" not in {file.name for file in trained(eb).iterdir()}
    result = eb("evaluate", "--trust", path, "--predictions", "none/own.npz")
    assert (result.exit_code, "the predictions cannot be written" in result.stderr) == (2, True)
