"""Training on a device: what it did is attributed, counted and kept, and a run goes on as if never stopped."""

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
import resume_parts
from boards import Faulty, Sound
from cells import Cells
from foreign_physics import Centred, Chain
from noisy_board import Chip
from resume_parts import Killed, StopAt, clouds, outcome

import eb_core as eb
from eb_core import RunError, UsageError
from eb_core.device import Capabilities, configurable, option
from eb_core.learning.simulator import Simulator
from eb_core.learning.usage import duration, in_words
from eb_core.training import execute
from eb_core.training.estimate import Sizes, estimate
from eb_core.training.history import summarise
from eb_core.training.settings import TrainerSettings

PARTS: dict[str, Any] = {"model": Chain(), "energy": Cells(), "rule": Centred()}
SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 8, "lr": 0.05, "validation": 0.25}


def train(backend: Any, folder: Path | None = None, **more: Any) -> eb.TrainingResult:
    return eb.train(**(PARTS | {"backend": backend}), data=clouds(), out=folder, **(SETTINGS | more))


def manifest_of(path: Path | None) -> dict[str, Any]:
    assert path is not None
    read: dict[str, Any] = json.loads((path / "manifest.json").read_text())
    return read


def test_a_run_of_a_device_names_the_device_and_no_relaxer(tmp_path: Path) -> None:
    result = train(Chip(), tmp_path)
    manifest = manifest_of(result.path)
    assert result.path is not None
    assert "Chip" in result.path.name
    assert "relaxer" not in {*manifest["recipe"], *manifest["origins"]}
    assert manifest["device"] == {
        "settled_by": "Chip B7",
        "serial": "B7",
        "calibration": {"worst unit": 0.25, "units": 7.0},
    }
    record = summarise(result.path).record()
    assert (record["relaxer"], record["backend"]) == (None, "noisy_board:Chip")


def test_a_simulation_says_nothing_of_a_device(tmp_path: Path) -> None:
    parts = {**resume_parts.PARTS, **SETTINGS}
    path = eb.train(**parts, data=clouds(), out=tmp_path).path
    assert path is not None
    assert path.name.endswith("Chain-own arrays-Momentum-Warm-s0".replace("own arrays", "OwnArrays"))
    assert not {"device", "usage"} & {*manifest_of(path)}
    assert "usage" not in (path / "metrics.jsonl").read_text()


def test_what_every_epoch_used_is_in_its_line_and_the_sum_with_the_test_in_the_manifest(tmp_path: Path) -> None:
    result = train(Chip(), tmp_path)
    assert result.path is not None
    lines = [json.loads(line)["usage"] for line in (result.path / "metrics.jsonl").read_text().splitlines()]
    # 33 samples: 4 batches of 8 in chunks of 6 + 2, and one of 1; four settles each, as none leads back to the free
    # state but to settle it again; validation of 11 in 2 chunks, the test of 44 in 8
    assert [line["settles"] for line in lines] == [4 * (2 * 4 + 1) + 2] * 3
    assert [line["samples"] for line in lines] == [4 * 33 + 11] * 3
    assert sum(line["programs"] for line in lines) == 3 * 5 + 1
    total = manifest_of(result.path)["usage"]
    assert total["settles"] == 3 * 38 + 8
    assert total["samples"] == 3 * 143 + 44
    assert total["seconds"] == pytest.approx(result.usage["seconds"])
    assert total["joules"] == pytest.approx(2.0 * total["seconds"])
    assert summarise(result.path).usage == total


@pytest.mark.parametrize("at", [(1, 2), (1, 5), (2, 1)])
def test_a_resumed_training_on_a_device_ends_bit_for_bit_as_if_never_stopped(
    tmp_path: Path, at: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Chip(noise=0.1)
    whole = train(backend, tmp_path / "whole", checkpoint_batches=1).path
    assert whole is not None
    with monkeypatch.context() as patch:
        patch.setattr(execute, "_record_end", lambda *_: None)
        with pytest.raises(Killed):
            train(backend, tmp_path / "part", checkpoint_batches=1, observers=[StopAt(*at, Killed)])
    (path,) = (tmp_path / "part").iterdir()
    eb.resume(path, data=clouds(), trust=True)
    (weights, lines, manifest), expected = outcome(path), outcome(whole)
    assert weights == expected[0]
    for line, other in zip(lines, expected[1], strict=True):
        for time in ("seconds", "joules"):
            assert line["usage"].pop(time) == pytest.approx(other["usage"].pop(time))
        assert line == other
    assert manifest["usage"]["settles"] >= expected[2]["usage"]["settles"]


def test_without_its_state_a_noisy_device_goes_on_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Chip(noise=0.1, forgets=True)
    whole = train(backend, tmp_path / "whole", checkpoint_batches=1).path
    assert whole is not None
    monkeypatch.setattr(execute, "_record_end", lambda *_: None)
    with pytest.raises(Killed):
        train(backend, tmp_path / "part", checkpoint_batches=1, observers=[StopAt(1, 2, Killed)])
    (path,) = (tmp_path / "part").iterdir()
    eb.resume(path, data=clouds(), trust=True)
    assert outcome(path)[0] != outcome(whole)[0]


def test_the_total_counts_work_that_was_lost_between_two_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"):
        train(Chip(), tmp_path, observers=[_Stop()], epochs=2)
    (path,) = tmp_path.iterdir()
    then = manifest_of(path)["usage"]
    assert then["settles"] > 0
    eb.resume(path, data=clouds(), trust=True)
    now = manifest_of(path)
    assert now["usage"]["settles"] > then["settles"]
    assert now["resumed"][0]["device"]["serial"] == "B7"


class _Stop:
    def batch(self, epoch: int, done: int, total: int) -> None:
        if done == 3:
            raise ValueError("stop")

    def epoch(self, report: eb.EpochReport) -> None:
        pass


def test_a_device_that_is_lost_in_mid_epoch_leaves_a_checkpoint_with_what_was_learnt(tmp_path: Path) -> None:
    backend = Faulty(fault="raises", counter=str(tmp_path / "count"), at=14, times=1000)
    with pytest.raises(RunError) as raised:
        train(backend, tmp_path / "runs")
    (path,) = (tmp_path / "runs").iterdir()
    assert any("to go on" in note for note in raised.value.__notes__)
    assert manifest_of(path)["usage"]["reopened"] == 1
    (tmp_path / "count.settle").write_text("x" * 5000)  # it works again
    eb.resume(path, data=clouds(), trust=True)
    manifest = manifest_of(path)
    assert manifest["status"] == "finished"
    assert manifest["resumed"][0]["from"]["batches"] > 0


def test_the_refusal_of_a_backend_names_the_part_that_it_judges() -> None:
    for parts, named in [
        ({"backend": Chip(columns=5)}, "this backend does not fit this model: the network has 7 units"),
        ({"energy": resume_parts.Springs()}, "does not fit energy 'foreign_physics:Springs'"),
        ({"cost": eb.CrossEntropy()}, "does not fit cost 'cross-entropy'"),
    ]:
        with pytest.raises(UsageError) as raised:
            eb.train(**(PARTS | {"backend": Chip()} | parts), data=clouds())
        assert named in str(raised.value)
        assert "relaxer" not in str(raised.value)


def test_a_budget_of_device_time_ends_with_a_checkpoint_and_goes_on_for_as_long_again(tmp_path: Path) -> None:
    whole = train(Chip(noise=0.1), tmp_path / "whole")
    assert whole.path is not None
    used, budget = whole.usage["seconds"], 0.45
    with pytest.raises(RunError, match=r"the device time is used up: 4\d\d ms of 450 ms") as raised:
        train(Chip(noise=0.1), tmp_path / "part", device_seconds=budget)
    assert any("to go on where it stopped: eb train --resume" in note for note in raised.value.__notes__)
    (path,) = (tmp_path / "part").iterdir()
    starts = 1
    while manifest_of(path)["status"] == "interrupted":
        assert (path / "checkpoint.safetensors").exists()
        assert budget * starts <= manifest_of(path)["usage"]["seconds"] < (budget + 0.1) * starts
        starts += 1
        with contextlib.suppress(RunError):
            eb.resume(path, data=clouds(), trust=True)
    assert manifest_of(path)["status"] == "finished"
    assert starts == math.ceil(used / budget)
    assert outcome(path)[0] == outcome(whole.path)[0]


def test_a_budget_does_nothing_to_a_simulation(tmp_path: Path) -> None:
    settings: dict[str, Any] = {**SETTINGS, "epochs": 1, "device_seconds": 1e-9}
    result = eb.train(**resume_parts.PARTS, data=clouds(), out=tmp_path, **settings)
    assert manifest_of(result.path)["status"] == "finished"


@configurable
class Phases(Sound):
    """A machine of the OIM paper: each phase takes 1 us, and its state can be written."""

    reuse: bool = option(default=True, help="whether a state can be written")

    def capabilities(self) -> Capabilities:
        starts = ("reset", "write") if self.reuse else ("reset", "last")
        return Capabilities(unit="cell", settle_seconds=1e-6, program_seconds=0.0, starts=starts, watts=0.5)


def test_the_estimate_of_the_oim_paper_is_nine_seconds() -> None:
    settings = TrainerSettings(epochs=50, batch_size=128, validation=0.0)
    found = estimate(Phases(), Centred(), settings, Sizes(train=60_000))
    assert found is not None
    assert found.seconds == pytest.approx(3 * 60_000 * 50 * 1e-6)
    assert found.joules == pytest.approx(4.5)
    assert found.told.startswith("at 1 us for a settle of 1 sample, 3 settles a batch: 180 ms an epoch (1,407 settles")
    assert "9 s for 50 epochs, 4.5 J" in found.told
    again = estimate(Phases(reuse=False), Centred(), settings, Sizes(train=60_000))
    assert again is not None
    assert again.seconds == pytest.approx(12.0)  # the free phase once more before the second nudge
    assert estimate(Simulator(), Centred(), settings, Sizes(train=60_000)) is None


@pytest.mark.parametrize("backend", [Chip(), Chip(reads=3), Phases(), Phases(reuse=False, reads=2)])
def test_the_estimate_is_what_the_training_then_uses(backend: Any) -> None:
    settings = TrainerSettings(**SETTINGS)
    found = estimate(backend, Centred(), settings, Sizes.of(44, 44, settings))
    result = train(backend)
    assert found is not None
    assert found.seconds == pytest.approx(result.usage["seconds"])
    assert found.joules == pytest.approx(result.usage["joules"])
    for report in result.reports:
        assert report.usage["settles"] == found.settles


def test_a_budget_that_will_not_do_is_said_before(tmp_path: Path) -> None:
    with (
        pytest.warns(eb.Notice, match="will take about .* of the device, and the budget is 100 ms"),
        pytest.raises(RunError, match="the device time is used up"),
    ):
        train(Chip(), tmp_path, device_seconds=0.1)


def test_use_is_told_in_one_line() -> None:
    usage = {"settles": 3234, "samples": 207000, "programs": 1, "seconds": 12.4, "retries": 2, "joules": 37.2}
    told = in_words(usage | {"clipped": 14, "reopened": 1})
    assert told == (
        "device 12.4 s, 3,234 settles of 207,000 samples, 1 programming, 2 retries, opened anew 1 time, 37.2 J,"
        " 14 clipped"
    )
    assert in_words({"photons": 12.0}) == "photons 12"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (1e-6, "1 us"), (0.002, "2 ms"), (12.4, "12.4 s"), (2460, "41 min"), (11520, "3.2 h")],
)
def test_a_time_is_told_in_its_unit(seconds: float, told: str) -> None:
    assert duration(seconds) == told
