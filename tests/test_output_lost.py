"""A stdout that is full, closed, without reader or ASCII: trainings go on, and an output that was asked for and lost
is an error."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_cli_runs import TINY
from typer.testing import Result

from eb_core.cli.main import main
from eb_core.cli.streams import Outlet, excuse_lost_stdout, on_standard_streams

Eb = Callable[..., Result]

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")

SHORT = [*TINY, "--epochs", "1"]


@pytest.fixture
def full() -> Iterator[io.TextIOWrapper]:
    """A stream that takes nothing: every flush of it fails."""
    device = io.TextIOWrapper(io.BufferedWriter(io.FileIO("/dev/full", "w")), "ascii", line_buffering=False)
    yield device
    device.detach().detach().close()  # nothing is left in it, or this fails


@pytest.fixture
def gone() -> Iterator[io.TextIOWrapper]:
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:
        yield stream


@pytest.fixture
def run(eb: Eb, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """The console script on a given stdout: its exit code."""

    def call(stdout: object, *line: str) -> object:
        monkeypatch.setattr("sys.argv", ["eb", *line])
        monkeypatch.setattr("sys.stdout", stdout)
        with pytest.raises(SystemExit) as ended:
            main()
        assert sys.stdout is stdout
        return ended.value.code

    return call


def the_manifest() -> dict[str, object]:
    (file,) = Path().glob("runs/*/manifest.json")
    return json.loads(file.read_text())


@pytest.mark.parametrize("line", [["list-plugins"], ["list-plugins", "--json"], ["--help"], ["train", "--dry-run"]])
def test_an_output_that_was_asked_for_and_lost_is_an_error(
    run: Callable[..., object], full: io.TextIOWrapper, capsys: pytest.CaptureFixture[str], line: list[str]
) -> None:
    assert run(full, *line) == 1
    assert capsys.readouterr().err.count("error: the output cannot be written: No space left on device") == 1


def test_a_reader_that_has_seen_enough_is_no_error(
    run: Callable[..., object], gone: io.TextIOWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(gone, "list-plugins")
    assert capsys.readouterr().err == ""


def test_a_training_on_a_full_stdout_ends_well_and_tells_stderr(
    run: Callable[..., object], full: io.TextIOWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(full, *SHORT)
    said = capsys.readouterr().err
    assert said.count("No space left on device") == 1
    assert "test accuracy" in said
    assert "eb evaluate runs/" in said
    assert the_manifest()["status"] == "finished"


def test_a_training_whose_json_is_lost_is_complete_and_says_so_with_exit_code_1(
    run: Callable[..., object], full: io.TextIOWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(full, *SHORT, "--json") == 1
    assert "error: the output cannot be written" in capsys.readouterr().err
    assert the_manifest()["status"] == "finished"


def test_several_seeds_without_reader_are_all_trained_and_summed_up(
    run: Callable[..., object], gone: io.TextIOWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run(gone, *SHORT, "--seeds", "2")
    said = capsys.readouterr().err
    assert "over 2 seeds" in said
    assert len([*Path().glob("runs/*/weights.safetensors")]) == 2


def test_a_full_stderr_changes_no_exit_code(
    run: Callable[..., object], full: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", full)
    assert run(io.StringIO(), "runs", "nowhere") == 2
    assert run(full, "list-plugins") == 1


def test_ascii_gets_stand_ins_for_what_it_lacks(tmp_path: Path) -> None:
    @on_standard_streams
    def say() -> None:
        print("▁▄█ 97 % ± 1 … Größe 数")  # noqa: T201 - it is stdout that is tried
        assert excuse_lost_stdout() is None

    with pytest.MonkeyPatch.context() as patch, (tmp_path / "log").open("w", encoding="ascii") as stream:
        patch.setattr("sys.stdout", stream)
        with pytest.raises(SystemExit) as ended:
            say()
    assert not ended.value.code
    assert (tmp_path / "log").read_text() == "148 97 % +- 1 ... Gr\\xf6\\xdfe \\u6570\n"


def test_a_pipe_that_was_made_non_blocking_loses_nothing() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    script = "import sys, time; time.sleep(.2); print(len(sys.stdin.buffer.read()))"
    with subprocess.Popen([sys.executable, "-c", script], stdin=reader, stdout=subprocess.PIPE) as process:
        os.close(reader)
        with io.BufferedWriter(Outlet(writer, "w")) as stream:
            stream.write(b"x" * 1_000_000)
        assert process.stdout is not None
        assert int(process.stdout.read()) == 1_000_000


def test_closed_descriptors_and_ascii_end_no_training_and_leave_no_trace_in_its_files(eb: Eb) -> None:
    script = [sys.executable, "-W", "error", "-c", "from eb_core.cli.main import main; main()", *SHORT]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "ascii"}
    shell = 'exec "$@" <&- >&- 2>log'
    done = subprocess.run(["sh", "-c", shell, "sh", *script], env=environment, timeout=120, check=False)
    log = Path("log").read_text("ascii")
    assert done.returncode == 0, log
    assert log.count("stdout cannot be written") == 1
    assert "test accuracy" in log
    assert "Exception ignored" not in log
    assert the_manifest()["status"] == "finished"
    assert eb("evaluate", "--trust", next(Path("runs").iterdir())).exit_code == 0
