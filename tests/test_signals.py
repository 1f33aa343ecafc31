"""Ctrl-C, SIGTERM and SIGHUP end a command in good order, whenever they come: quietly, and with nothing lost."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import Result

from eb_core.cli import signals
from eb_core.training.checkpoint import Checkpoint

Eb = Callable[..., Result]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

START = "import signal; [signal.signal(n, d) for n, d in ((2, signal.default_int_handler), (15, 0), (1, 0))]"
"""A parent may have had them ignored."""
ENTRY = "from eb_core.cli.entry import main; main()"
ENDLESS = [
    "train",
    "--dataset",
    "tiny_parts:Tiny",
    "--model-opt",
    "hidden=[4]",
    "--epochs",
    "1000000",
    "--threads",
    "1",
]


@contextmanager
def process(*line: str, before: str = START) -> Iterator["subprocess.Popen[str]"]:
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", f"{before}; {ENTRY}", *line]
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def wait_for(started: "subprocess.Popen[str]", pattern: str) -> Path:
    """The first file that fits and is not empty."""
    for _ in range(1200):
        for file in Path().glob(pattern):
            if file.stat().st_size:
                return file
        assert started.poll() is None, started.communicate()
        time.sleep(0.05)
    raise AssertionError(pattern)


def ended(started: "subprocess.Popen[str]", number: int) -> str:
    """What it said, after an end that was in order."""
    stdout, stderr = started.communicate(timeout=60)
    assert started.returncode == 128 + number, stderr
    assert "interrupted" in stderr
    assert not [word for word in ("Traceback", "Exception ignored") if word in stdout + stderr], stderr
    return stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_training_with_a_checkpoint_and_says_how_to_go_on(eb: Eb, number: signal.Signals) -> None:
    with process(*ENDLESS) as started:
        run = wait_for(started, "runs/*/metrics.jsonl").parent
        started.send_signal(number)
        stderr = ended(started, number)
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["status"], manifest["reason"]) == ("interrupted", number.name)
    assert f"eb train --resume {run} --trust" in stderr
    assert Checkpoint.read(run / "checkpoint.safetensors").position["epochs"] >= 1
    assert eb("evaluate", "--trust", run).exit_code == 0


@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_a_second_one_at_once_changes_nothing(eb: Eb, pause: float) -> None:
    with process(*ENDLESS) as started:
        run = wait_for(started, "runs/*/metrics.jsonl").parent
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            started.send_signal(number)
            time.sleep(pause)
        stdout, stderr = started.communicate(timeout=60)
    assert started.returncode in (130, 143), stderr
    assert "Traceback" not in stdout + stderr
    assert f"eb train --resume {run} --trust" in stderr
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_nothing_but_a_word_is_said_while_python_is_still_importing(eb: Eb, seconds: float) -> None:
    Path("slow").mkdir()
    short = "for _ in range(6000): time.sleep(.01)"  # Python misses a signal just before a sleep until that ends
    Path("slow/typer.py").write_text(f"import time\nprint('importing', flush=True)\n{short}\n")
    with process("runs", before=f"{START}; import sys; sys.path.insert(0, 'slow')") as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "importing\n"
        time.sleep(seconds)
        started.send_signal(signal.SIGINT)
        assert ended(started, signal.SIGINT) == "interrupted\n"


NAP = "[time.sleep(.01) for _ in range(60_000)]"
STUCK = f"import pathlib, time; stuck = lambda *_, **__: (pathlib.Path('reached').write_text('x'), {NAP})"
STAGES = {
    "loading": (ENDLESS, "import tiny_parts; tiny_parts.Tiny.load = stuck"),
    "testing": ([*ENDLESS, "--epochs", "1"], "from eb_core.training import trainer; trainer.predict_split = stuck"),
    "listing": (["runs", "."], "from eb_core.training import history; history.find_runs = stuck"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_is_in_order_while_a_command_does_something_else_than_train(eb: Eb, stage: str) -> None:
    line, stick = STAGES[stage]
    with process(*line, before=f"{START}; {STUCK}; {stick}") as started:
        wait_for(started, "reached")
        started.send_signal(signal.SIGTERM)
        stderr = ended(started, signal.SIGTERM)
    runs = list(Path().glob("runs/*"))
    assert len(runs) == (stage == "testing")
    for run in runs:
        assert f"eb train --resume {run} --trust" in stderr
        assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"


def test_a_signal_that_was_ignored_when_the_command_began_stays_ignored(eb: Eb) -> None:
    with process(*ENDLESS, before="import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)") as started:
        run = wait_for(started, "runs/*/metrics.jsonl").parent
        started.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert started.poll() is None
        started.send_signal(signal.SIGTERM)
        started.communicate(timeout=60)
    assert json.loads((run / "manifest.json").read_text())["reason"] == "SIGTERM"


def test_a_fork_of_the_command_dies_of_its_own_signals_quietly(eb: Eb) -> None:
    code = (
        "import os, signal, time; from eb_core.cli import signals; signals.install(); child = os.fork()\n"
        "if child == 0: time.sleep(60)\n"
        "time.sleep(.3); os.kill(child, signal.SIGTERM); print(os.waitpid(child, 0)[1])"
    )
    done = subprocess.run([sys.executable, "-c", f"{START}\n{code}"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{int(signal.SIGTERM)}\n", "")


def test_neither_the_python_api_nor_a_thread_touches_handlers(eb: Eb) -> None:
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = [signal.getsignal(number) for number in numbers]
    assert eb("train", "--dataset", "tiny_parts:Tiny", "--model-opt", "hidden=[4]", "--epochs", "1").exit_code == 0
    thread = threading.Thread(target=signals.install)
    thread.start()
    thread.join()
    assert [signal.getsignal(number) for number in numbers] == before
