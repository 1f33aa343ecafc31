"""One writer for each run: another one is refused by name, and a lock ends with its process."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from resume_parts import PARTS, SETTINGS, StopAt, clouds, outcome, stopped, whole

import eb_core as eb
from eb_core import EpochReport, TrainingResult, UsageError
from eb_core.training.lock import held
from eb_core.training.manifest import this_process

HOLD = """
import json, sys, time
from pathlib import Path
from eb_core.training.lock import held
from eb_core.training.manifest import this_process
with held(Path(sys.argv[1])):
    print(json.dumps(this_process()), flush=True)
    time.sleep(120)
"""


@attrs.frozen
class Act:
    """An observer that does something after the first batch that it sees."""

    action: Callable[[], Any]
    results: list[Any] = attrs.field(factory=list)

    def batch(self, epoch: int, done: int, total: int) -> None:
        if not self.results:
            self.results.append(None)
            self.results.append(self.action())

    def epoch(self, report: EpochReport) -> None:
        pass


def refusal(path: Path, offset: float = 0.0, **more: Any) -> str:
    with pytest.raises(UsageError) as caught:
        eb.resume(path, trust=True, data=clouds(offset), **more)
    return str(caught.value)


def says(path: Path, **facts: Any) -> None:
    file = path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_of_two_resumes_at_once_one_goes_on_and_the_other_is_refused_by_name(tmp_path: Path) -> None:
    path = stopped(tmp_path / "stopped")
    refused: list[str] = []
    result: list[TrainingResult] = []

    def another() -> None:
        try:
            result.append(eb.resume(path, trust=True, data=clouds()))
        except UsageError as error:
            refused.append(str(error))

    def in_a_thread() -> None:
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()

    eb.resume(path, trust=True, data=clouds(), observers=[Act(in_a_thread)])
    assert result == []
    assert f"is being written by this process, {this_process()['pid']} on {this_process()['host']}" in refused[0]
    assert outcome(path) == outcome(whole(tmp_path / "whole"))


def test_a_run_is_not_resumed_from_within_itself_nor_while_it_is_trained_for_the_first_time(tmp_path: Path) -> None:
    def nested() -> str:
        (path,) = tmp_path.iterdir()
        return refusal(path)

    watch = Act(nested)
    eb.train(**PARTS, data=clouds(), out=tmp_path, observers=[watch], **SETTINGS)
    assert "is being written by this process" in watch.results[1]


def test_another_process_is_named_and_its_lock_ends_with_it(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        writer = json.loads(process.stdout.readline())
        says(path, process=writer)
        assert f"is being written by process {process.pid} on {writer['host']}" in refusal(path)
        says(path, process=writer | {"began": "long ago"})
        assert "is being written by another process" in refusal(path), "it has not signed yet"
        process.send_signal(signal.SIGKILL)
    assert len(eb.resume(path, trust=True, data=clouds()).reports) == SETTINGS["epochs"]


def test_a_lock_is_released_on_every_way_out(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    assert "the data differs" in refusal(path, offset=1.0)
    recipe = (path / "recipe.toml").read_text()
    (path / "recipe.toml").write_text(recipe.replace("epochs = 4", "epochs = 5"))
    assert "another recipe" in refusal(path)
    (path / "recipe.toml").write_text(recipe)
    with pytest.raises(KeyboardInterrupt):
        eb.resume(path, trust=True, data=clouds(), observers=[StopAt(2, 4, KeyboardInterrupt)])
    with held(path):
        pass
    eb.resume(path, trust=True, data=clouds())


def test_a_run_that_another_host_writes_is_taken_over_on_demand_and_never_while_it_is_held(tmp_path: Path) -> None:
    path = stopped(tmp_path / "stopped")
    says(path, status="running", process={"host": "elsewhere", "pid": 77, "began": None})
    message = refusal(path)
    assert "process 77 on elsewhere is writing it" in message
    assert f"eb train --resume {path} --take-over" in message
    with held(path):
        assert "is being written by process 77 on elsewhere" in refusal(path, take_over=True)
    eb.resume(path, trust=True, data=clouds(), take_over=True)
    assert outcome(path) == outcome(whole(tmp_path / "whole"))


def test_a_run_of_this_host_whose_process_is_gone_goes_on_without_a_word(tmp_path: Path) -> None:
    path = stopped(tmp_path / "stopped")
    assert json.loads((path / "manifest.json").read_text())["status"] == "running"
    eb.resume(path, trust=True, data=clouds())


def test_a_finished_run_holds_no_lock_file_and_what_is_no_run_gets_none(tmp_path: Path) -> None:
    path = whole(tmp_path / "whole")
    assert not (path / ".lock").exists()
    assert "has finished" in refusal(path)
    assert "is no run" in refusal(tmp_path)
    assert not (path / ".lock").exists()
    assert not (tmp_path / ".lock").exists()


def test_a_directory_that_cannot_be_locked_is_one_error(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    (path / ".lock").unlink()
    (path / ".lock").mkdir()
    assert "cannot be locked: Is a directory" in refusal(path)
