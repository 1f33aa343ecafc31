"""However a training ends: its directory says so and holds a finite checkpoint; no error and no result is hidden."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from resume_parts import PARTS, SETTINGS, Lamp, Lights, StopAt, clouds, outcome, whole

import eb_core as eb
from eb_core import Notice, RunError, Score, UsageError, configurable
from eb_core.training import runs
from eb_core.training import trainer as the_loop
from eb_core.training.checkpoint import Checkpoint
from eb_core.training.trainer import Trainer


def says(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text())
    return manifest


def position(path: Path) -> dict[str, int]:
    return Checkpoint.read(path / "checkpoint.safetensors").position


def failing(folder: Path, error: type[BaseException], **more: Any) -> tuple[Path, BaseException]:
    """The directory of a training that ends in `error`, and the error."""
    with pytest.raises(error) as caught:
        eb.train(**(PARTS | {"data": clouds(), "out": folder} | SETTINGS | more))
    (path,) = folder.iterdir()
    return path, caught.value


@pytest.fixture
def lamp(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(Lamp, "programs", 0)
    return monkeypatch


@pytest.mark.parametrize("error", [ValueError, MemoryError, SystemExit, AssertionError])
def test_every_exception_leaves_a_checkpoint_of_the_last_batch(tmp_path: Path, error: type[BaseException]) -> None:
    path, raised = failing(tmp_path / "failed", error, observers=[StopAt(2, 3, error)])
    assert position(path) == {"epochs": 2, "batches": 3}
    assert says(path)["status"] == "failed"
    assert any(f"eb train --resume {path}" in note for note in raised.__notes__)
    eb.resume(path, trust=True, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole"))


def test_an_exception_that_cannot_say_what_it_is_does_not_keep_the_end_from_being_recorded(tmp_path: Path) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    path, _ = failing(tmp_path, Mute, observers=[StopAt(1, 1, Mute)])
    assert (says(path)["status"], says(path)["reason"]) == ("failed", "Mute (its text cannot be shown: RuntimeError)")


@pytest.mark.parametrize("call", [1, 8, 9, 24, 25])
def test_a_device_that_cannot_be_programmed_leaves_a_failed_run_that_goes_on(
    tmp_path: Path, lamp: pytest.MonkeyPatch, call: int
) -> None:
    """There are six calls in an epoch of five batches: the last one of all is for the selected weights."""
    lamp.setattr(Lamp, "breaks_at", call)
    path, raised = failing(tmp_path / "failed", OSError, backend=Lights())
    assert "the lamp went out" in str(raised)
    assert (says(path)["status"], says(path)["reason"]) == ("failed", "OSError: the lamp went out")
    if call > 1:
        epochs, batches = divmod(call - 1, 6)
        assert position(path) == {"epochs": epochs, "batches": batches}
        assert any(f"eb train --resume {path}" in note for note in raised.__notes__)
    eb.resume(path, trust=True, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole", backend=Lights()))


def test_a_device_that_cannot_be_closed_does_not_hide_the_result(tmp_path: Path, lamp: pytest.MonkeyPatch) -> None:
    lamp.setattr(Lamp, "closes", False)
    with pytest.warns(Notice, match="the backend could not be closed: OSError: the switch is stuck"):
        result = eb.train(**PARTS, backend=Lights(), data=clouds(), out=tmp_path, **SETTINGS)
    assert result.test is not None
    assert result.path is not None
    assert says(result.path)["status"] == "finished"
    assert any("the switch is stuck" in notice for notice in says(result.path)["notices"])
    with pytest.warns(Notice, match="the switch is stuck"):
        assert eb.train(**PARTS, backend=Lights(), data=clouds(), **SETTINGS).test == result.test


def test_a_device_that_cannot_be_closed_hides_no_other_error(tmp_path: Path, lamp: pytest.MonkeyPatch) -> None:
    lamp.setattr(Lamp, "closes", False)
    path, raised = failing(tmp_path, KeyError, backend=Lights(), observers=[StopAt(1, 1, KeyError)])
    assert any("the switch is stuck" in note for note in raised.__notes__)
    assert any(f"eb train --resume {path}" in note for note in raised.__notes__)
    assert says(path)["status"] == "failed"


def spoil(monkeypatch: pytest.MonkeyPatch, at: int, spoilt: Callable[[Any, torch.optim.Optimizer], None]) -> None:
    """Do something to network or optimiser in the update number `at`."""
    good, calls = the_loop.apply_gradients, []

    def apply(network: eb.Network, optimiser: torch.optim.Optimizer, gradients: Any) -> None:
        good(network, optimiser, gradients)
        calls.append(None)
        if len(calls) == at:
            spoilt(network, optimiser)

    monkeypatch.setattr(the_loop, "apply_gradients", apply)


def spoil_weights(network: eb.Network, optimiser: torch.optim.Optimizer) -> None:
    next(network.parameters()).data.view(-1)[0] = float("nan")


def spoil_moments(network: eb.Network, optimiser: torch.optim.Optimizer) -> None:
    next(iter(optimiser.state.values()))["exp_avg_sq"].view(-1)[0] = float("inf")


@pytest.mark.parametrize("spoilt", [spoil_weights, spoil_moments])
@pytest.mark.parametrize("select", ["best", "last"])
def test_nothing_that_is_not_finite_is_saved_or_selected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: Any, select: str
) -> None:
    spoil(monkeypatch, 13, spoilt)
    path, raised = failing(tmp_path, RunError, select=select, optimizer="adam", checkpoint_batches=1)
    assert "not finite in epoch 3" in str(raised)
    checkpoint = Checkpoint.read(path / "checkpoint.safetensors")
    assert checkpoint.position == {"epochs": 2, "batches": 2}
    assert all(bool(torch.isfinite(value).all()) for value in checkpoint.tensors.values())
    assert any(f"its last checkpoint, which is finite: eb train --resume {path}" in note for note in raised.__notes__)
    weights = path / "weights.safetensors"
    if select == "last" and spoilt is spoil_weights:
        assert not weights.exists()
        assert any("no weights: none were finite" in note for note in raised.__notes__)
        with pytest.raises(UsageError, match="no weights"):
            eb.load_run(path, trust=True)
    else:
        eb.load_run(path, trust=True)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_an_epoch_whose_validation_loss_is_not_finite_is_never_selected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    scores = iter([Score(1.0, 0.5, 11), Score(loss, 1.0, 11)])
    monkeypatch.setattr(Trainer, "_validate", lambda _: next(scores))
    path, raised = failing(tmp_path, RunError)
    assert "the validation loss is not finite in epoch 2" in str(raised)
    assert says(path)["best_epoch"] == 1
    assert len((path / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_loss_that_is_not_finite_in_one_batch_between_two_looks_does_not_pass(tmp_path: Path) -> None:
    @configurable
    class Once(type(PARTS["rule"])):  # type: ignore[misc]
        def estimate(self, *args: Any, **more: Any) -> eb.GradientEstimate:
            estimate = super().estimate(*args, **more)
            seen.append(None)
            return attrs.evolve(estimate, loss=estimate.loss * float("nan")) if len(seen) == 3 else estimate

    seen: list[None] = []
    _, raised = failing(tmp_path, RunError, rule=Once())
    assert "the loss is not finite in epoch 1" in str(raised)


@pytest.mark.parametrize("twice", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_while_the_end_is_recorded_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twice: signal.Signals
) -> None:
    good = runs.write_atomically
    before = signal.signal(twice, signal.default_int_handler)

    def write(path: Path, content: bytes) -> None:
        os.kill(os.getpid(), twice)
        good(path, content)

    with monkeypatch.context() as patch:

        class Stop(StopAt):
            def batch(self, epoch: int, done: int, total: int) -> None:
                if (epoch, done) == (2, 3):
                    patch.setattr(runs, "write_atomically", write)
                    os.kill(os.getpid(), twice)

        path, _ = failing(tmp_path / "stopped", KeyboardInterrupt, observers=[Stop(0, 0, KeyError)])
    assert signal.getsignal(twice) is signal.default_int_handler
    signal.signal(twice, before)
    assert says(path)["status"] == "interrupted"
    assert position(path) == {"epochs": 2, "batches": 3}
    eb.resume(path, trust=True, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole"))


def test_a_signal_while_the_result_is_written_comes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = runs.write_atomically

    def write(path: Path, content: bytes) -> None:
        good(path, content)
        if path.name == "manifest.json" and b"finished" in content:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(runs, "write_atomically", write)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    path, _ = failing(tmp_path, KeyboardInterrupt)
    signal.signal(signal.SIGINT, before)
    assert says(path)["status"] == "finished"


def test_no_empty_directory_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "write_atomically", refuse)
    with pytest.raises(RunError, match="cannot be written: No space left"):
        eb.train(**PARTS, data=clouds(), out=tmp_path, **SETTINGS)
    assert list(tmp_path.iterdir()) == []
