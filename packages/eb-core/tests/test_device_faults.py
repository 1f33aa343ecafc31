"""However a device misbehaves: the run ends with its name, phase, layer and sample, or goes on as if nothing had been.

No row of this table ends "finished" with a result that the sound board would not have given.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from boards import FAULTS, Faulty, Sound
from cells import Cells
from foreign_physics import Centred, Chain
from resume_parts import clouds, outcome

import eb_core as eb
from eb_core import Notice, RunError

PARTS: dict[str, Any] = {"model": Chain(), "energy": Cells(), "rule": Centred()}
SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 8, "lr": 0.3, "validation": 0.25}
EPOCH = 30
"""Settles after which the second epoch is under way."""


def faulty(folder: Path, fault: str, **options: Any) -> Faulty:
    return Faulty(fault=fault, counter=str(folder / "calls"), **options)


def trained(folder: Path, backend: Sound) -> Path:
    path = eb.train(**PARTS, backend=backend, data=clouds(), out=folder, **SETTINGS).path
    assert path is not None
    return path


def failing(folder: Path, backend: Sound, error: type[BaseException] = RunError) -> tuple[Path, BaseException]:
    with pytest.raises(error) as caught:
        trained(folder / "runs", backend)
    (path,) = (folder / "runs").iterdir()
    return path, caught.value


def same_but_for_the_device(path: Path, other: Path) -> bool:
    """Whether two runs gave the same weights and scores; what the device was used for is another matter."""
    (weights, lines, _), (others, other_lines, _) = outcome(path), outcome(other)
    for line in (*lines, *other_lines):
        line.pop("usage", None)
    return weights == others and lines == other_lines


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("sound"), Sound())


WRONG = {
    "all nan": r"Faulty, \w+ phase: layer 'hidden1', sample 0, unit 0 came back as nan.*are wrong",
    "one nan": r"layer 'hidden1', sample 1, unit 2 came back as nan, expected are finite states",
    "7s - 3": r"layer 'hidden\d', sample \d, unit \d came back as -?\d.*expected are states from 0 to 1",
    "hidden x 1e6": r"layer 'hidden\d'.*expected are states from 0 to 1",
    "zeros": r"all units of all \d samples came back as 0, whatever drives them: the device is dead",
    "one unit too many": r"values of shape \(\d, 8\) came back, expected is \(\d, 7\)",
    "one output too few": r"values of shape \(\d, 6\) came back",
    "one sample short": r"values of shape \(\d, 7\) came back, expected is \(\d, 7\)",
    "one row": r"values of shape \(7,\) came back",
    "objects": "values of type object came back",
    "text": r"values of type <U\d+ came back",
    "a list": "values of type list came back",
    "None": "a NoneType came back, expected is a Readout",
    "an array": "a ndarray came back, expected is a Readout",
    "complex": "values of type complex128 came back",
    "codes": "codes came back, and the capabilities say no readout_bits",
    "settled of one": r"settled has the shape \(1,\), expected is \(\d,\)",
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_comes_back_wrong_is_named_and_the_run_resumes_from_where_it_was(
    tmp_path: Path, fault: str, sound: Path
) -> None:
    path, error = failing(tmp_path, faulty(tmp_path, fault, at=EPOCH))
    with pytest.raises(RunError, match=WRONG[fault]):
        raise error
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert any(f"eb train --resume {path}" in note for note in error.__notes__)
    mended(path)
    eb.resume(path, trust=True, data=clouds())
    assert same_but_for_the_device(path, sound)


def mended(path: Path) -> None:
    """The board of a run is repaired: its recipe stays the same, the calls are past the fault."""
    calls = path.parent.parent / "calls.settle"
    calls.write_text("x" * 2_000_000)


@pytest.mark.parametrize(("fault", "times"), [("transient", 2), ("raises", 1), ("hangs", 1), ("crashes", 1)])
@pytest.mark.parametrize("late", range(4))
def test_what_is_over_by_itself_or_by_opening_anew_leaves_no_trace_in_the_result(
    tmp_path: Path, fault: str, times: int, late: int, sound: Path
) -> None:
    isolated = fault in ("hangs", "crashes")
    if isolated and late % 2:
        pytest.skip("every phase is tried with a device in this process")
    backend = faulty(tmp_path, fault, at=EPOCH + late, times=times, isolated=isolated, deadline=2.0)
    assert same_but_for_the_device(trained(tmp_path / "runs", backend), sound)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("transient", "packet lost, 3 times in a row"),
        ("raises", "settle: ValueError: over-temperature"),
        ("hangs", "settle: no answer within 0.5 s"),
        ("crashes", r"settle: its process crashed \(signal 11\)"),
        ("program", "program: OSError: the program line is dead"),
    ],
)
def test_what_does_not_get_better_ends_the_run_with_a_checkpoint_of_the_last_batch(
    tmp_path: Path, fault: str, message: str
) -> None:
    isolated = fault in ("hangs", "crashes")
    at = 10 if fault == "program" else EPOCH
    backend = faulty(tmp_path, fault, at=at, isolated=isolated, deadline=0.5, retries=2)
    path, error = failing(tmp_path, backend)
    with pytest.raises(RunError, match=message):
        raise error
    assert json.loads((path / "manifest.json").read_text())["status"] == "failed"
    assert (path / "checkpoint.safetensors").exists()
    assert any(f"eb train --resume {path}" in note for note in error.__notes__)


def test_a_device_that_cannot_be_connected_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Faulty: it cannot be connected: OSError: the connect line is dead"):
        trained(tmp_path / "runs", faulty(tmp_path, "connect"))
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_a_device_that_cannot_be_closed_costs_no_result(tmp_path: Path, sound: Path) -> None:
    with pytest.warns(Notice, match="could not be closed: Faulty: OSError: the close line is dead"):
        path = trained(tmp_path / "runs", faulty(tmp_path, "close"))
    assert json.loads((path / "manifest.json").read_text())["status"] == "finished"


def test_half_precision_is_converted(tmp_path: Path, sound: Path) -> None:
    path = trained(tmp_path / "runs", faulty(tmp_path, "half precision"))
    losses = [json.loads((one / "manifest.json").read_text())["test"]["loss"] for one in (path, sound)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert losses[0] != losses[1]


def test_every_fault_of_the_board_is_in_one_of_the_tests() -> None:
    elsewhere = {"transient", "raises", "hangs", "crashes", "program", "connect", "close", "half precision", "none"}
    assert {*WRONG} | elsewhere == {*FAULTS}


def is_alive(process: Path) -> bool:
    """Whether a process runs; one that has ended and whose end nobody asked for does not."""
    try:
        return ") Z" not in (process / "stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks into /proc")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_a_signal_while_the_device_hangs_ends_the_run_and_the_device(tmp_path: Path, name: str) -> None:
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # in the background it is ignored
        "from test_device_faults import faulty, trained; from pathlib import Path; import sys\n"
        "here = Path(sys.argv[1]); trained(here / 'runs', faulty(here, 'hangs', at=30, isolated=True))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, stderr=subprocess.PIPE
    ) as process:
        calls = tmp_path / "calls.settle"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not calls.exists() or len(calls.read_text()) <= EPOCH):
            time.sleep(0.05)
        os.kill(process.pid, getattr(signal, name))
        process.wait(20)
    device = Path("/proc") / (tmp_path / "calls.pid").read_text()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and is_alive(device):
        time.sleep(0.1)
    assert not is_alive(device)
    (path,) = (tmp_path / "runs").iterdir()
    if name == "SIGINT":
        assert json.loads((path / "manifest.json").read_text())["status"] == "interrupted"
        assert (path / "checkpoint.safetensors").exists()
