"""A run that was stopped and resumed equals one that was never stopped: weights, metrics and manifest, bit for bit."""

import errno
import functools
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from foreign_physics import Centred, Chain, Descent
from resume_parts import PARTS, SETTINGS, Killed, StopAt, Wide, clouds, outcome, stopped, whole

import eb_core as eb
from eb_core import EpochReport, RunError, UsageError
from eb_core.training import runs
from eb_core.training import trainer as the_loop
from eb_core.training.checkpoint import Checkpoint


@pytest.fixture(autouse=True)
def _parts_in_no_package() -> Iterator[None]:
    """The runs of these tests name classes, so each needs the word that it is trusted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eb, "resume", functools.partial(eb.resume, trust=True))
        yield


@pytest.mark.parametrize("error", [Killed, KeyboardInterrupt])
@pytest.mark.parametrize(
    "trainer",
    [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "sgd"},
        {"optimizer": "adam", "schedule": "cosine"},
        {"optimizer": "adam", "select": "last", "lr": 0.5},
        {"optimizer": "adam", "validation": 0.0, "rule": Centred(), "relaxer": Descent()},
        {"optimizer": "sgd", "momentum": 0.9, "checkpoint_batches": 2, "lr": 0.1},
        {"optimizer": "adam", "checkpoint_seconds": 1e-9},
    ],
    ids=lambda trainer: " ".join(f"{name}={value}" for name, value in trainer.items()),
)
def test_a_resumed_run_equals_one_that_was_never_stopped(
    tmp_path: Path, trainer: dict[str, Any], error: type[BaseException]
) -> None:
    path = stopped(tmp_path / "stopped", error=error, **trainer)
    eb.resume(path, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole", **trainer))
    assert not (path / "checkpoint.safetensors").exists()


def test_the_result_of_resuming_tells_of_all_epochs_and_of_the_best_one(tmp_path: Path) -> None:
    result = eb.resume(stopped(tmp_path / "a", lr=0.2), data=clouds())
    other = eb.train(**PARTS, data=clouds(), **(SETTINGS | {"lr": 0.2}))
    assert [one.train for one in result.reports] == [one.train for one in other.reports]
    assert (result.best_epoch, result.test) == (other.best_epoch, other.test)
    weights = other.net.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in result.net.network.state_dict().items())


@pytest.mark.parametrize("at", [(0, 1), (0, 5), (1, 1), (3, 5)])
def test_it_does_not_matter_where_a_run_is_stopped_nor_how_often(tmp_path: Path, at: tuple[int, int]) -> None:
    path = stopped(tmp_path / "stopped", at, checkpoint_batches=1)
    for again in [(2, 2), (3, 1)]:
        if again > at:
            with pytest.raises(KeyboardInterrupt):
                eb.resume(path, data=clouds(), observers=[StopAt(*again, KeyboardInterrupt)])
    eb.resume(path, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole", checkpoint_batches=1))


@pytest.mark.parametrize(
    ("trainer", "error", "position"),
    [
        ({}, Killed, {"epochs": 2, "batches": 0}),
        ({"checkpoint_batches": 2}, Killed, {"epochs": 2, "batches": 2}),
        ({"checkpoint_seconds": 1e-9}, Killed, {"epochs": 2, "batches": 2}),
        ({}, KeyboardInterrupt, {"epochs": 2, "batches": 3}),
    ],
)
def test_a_kill_loses_the_work_since_the_last_checkpoint_and_ctrl_c_loses_none(
    tmp_path: Path, trainer: dict[str, Any], error: type[BaseException], position: dict[str, int]
) -> None:
    path = stopped(tmp_path, error=error, **trainer)
    assert Checkpoint.read(path / "checkpoint.safetensors").position == position
    eb.resume(path, data=clouds())
    assert [one["from"] for one in json.loads((path / "manifest.json").read_text())["resumed"]] == [position]


def test_an_interrupt_between_two_halves_of_a_step_saves_nothing_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stopped(tmp_path / "stopped", checkpoint_batches=1)

    def half(network: eb.Network, optimiser: torch.optim.Optimizer, gradients: Any) -> None:
        next(network.parameters()).data.add_(1.0)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(the_loop, "apply_gradients", half)
        with pytest.raises(KeyboardInterrupt):
            eb.resume(path, data=clouds())
    assert json.loads((path / "manifest.json").read_text())["status"] == "interrupted"
    eb.resume(path, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole", checkpoint_batches=1))


def test_lines_of_the_metrics_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = stopped(tmp_path / "stopped")
    with (path / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"epoch": 3, "lr": 1.0}\n{"epoch": 4, "l')
    (path / ".checkpoint.safetensors.abc.part").write_bytes(b"half a checkpoint")
    eb.resume(path, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole"))
    assert not list(path.glob(".*"))


def test_a_run_killed_before_its_first_checkpoint_begins_at_the_beginning(tmp_path: Path) -> None:
    path = stopped(tmp_path / "stopped", (0, 2))
    assert not (path / "checkpoint.safetensors").exists()
    eb.resume(path, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole"))


def test_a_full_disk_ends_the_run_with_one_clear_error_and_leaves_the_checkpoint_before_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = runs.write_atomically
    written: list[bytes] = []

    def fill(path: Path, content: bytes) -> None:
        if path.name == "checkpoint.safetensors" and len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        good(path, content)
        if path.name == "checkpoint.safetensors":
            written.append(content)

    monkeypatch.setattr(runs, "write_atomically", fill)
    with pytest.raises(RunError, match=r"checkpoint\.safetensors cannot be written: No space left on device") as caught:
        eb.train(**PARTS, data=clouds(), out=tmp_path / "full", **SETTINGS)
    assert "eb train --resume" in caught.value.faults[0].advice
    (path,) = (tmp_path / "full").iterdir()
    assert (path / "checkpoint.safetensors").read_bytes() == written[-1]
    assert json.loads((path / "manifest.json").read_text())["status"] == "failed"
    monkeypatch.undo()
    eb.resume(path, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole"))


def test_a_disk_that_takes_nothing_more_does_not_hide_the_error_behind_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stopped(tmp_path / "stopped")

    class Full:
        """A file system without room, from the first batch on."""

        def batch(self, epoch: int, done: int, total: int) -> None:
            monkeypatch.setattr("os.fsync", self.refuse)

        def epoch(self, report: EpochReport) -> None:
            pass

        def refuse(self, handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    before = (path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(RunError, match=r"checkpoint\.safetensors cannot be written: No space") as caught:
        eb.resume(path, data=clouds(), observers=[Full()])
    assert "lacks this checkpoint, the weights so far, how it ended: " in caught.value.__notes__[0]
    assert (path / "checkpoint.safetensors").read_bytes() == before
    assert not list(path.glob(".*.part"))
    monkeypatch.undo()
    eb.resume(path, data=clouds())
    assert outcome(path) == outcome(whole(tmp_path / "whole"))


def flipped(content: bytes) -> bytes:
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def other_network(content: bytes) -> bytes:
    return safetensors.torch.save({"weights": torch.zeros(3)}, {"format": "1"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "the checkpoint cannot be read"),
        (lambda content: b"", "the checkpoint cannot be read"),
        (lambda content: b"\x00" * len(content), "the checkpoint cannot be read"),
        (flipped, "the checkpoint is damaged: its digest"),
        (other_network, "the checkpoint is damaged: its digest"),
        (lambda content: safetensors.torch.save({"w": torch.zeros(3)}), "is none that this version of eb-core wrote"),
    ],
)
def test_a_damaged_checkpoint_is_refused_with_the_reason(tmp_path: Path, damage: Any, message: str) -> None:
    path = stopped(tmp_path)
    file = path / "checkpoint.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UsageError, match=message) as caught:
        eb.resume(path, data=clouds())
    assert len(caught.value.faults) == 1
    assert "eb train --recipe" in caught.value.faults[0].advice


def test_a_checkpoint_of_another_recipe_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    path, other = stopped(tmp_path / "a"), stopped(tmp_path / "b", model=Wide(), lr=0.25)
    (path / "checkpoint.safetensors").write_bytes((other / "checkpoint.safetensors").read_bytes())
    with pytest.raises(UsageError, match=r"another recipe; different are \[model\] name, \[trainer\] lr"):
        eb.resume(path, data=clouds())


def test_a_recipe_that_was_edited_is_refused_and_the_change_named(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    (path / "recipe.toml").write_text((path / "recipe.toml").read_text().replace("epochs = 4", "epochs = 40"))
    with pytest.raises(UsageError, match=r"different are \[trainer\] epochs\n"):
        eb.resume(path, data=clouds())


def test_a_checkpoint_of_another_network_is_refused_with_the_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stopped(tmp_path)
    monkeypatch.setattr(Chain, "build", Wide.build)
    with pytest.raises(UsageError, match=r"of another network: 'edges\.input-hidden1\.weight' is \(3, 4\) there"):
        eb.resume(path, data=clouds())


def test_other_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the data differs from what the run began with"):
        eb.resume(stopped(tmp_path), data=clouds(offset=1e-3))


def test_own_arrays_must_be_given_again(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="trained on arrays given in Python"):
        eb.resume(stopped(tmp_path))


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    path = whole(tmp_path)
    before = outcome(path)
    with pytest.raises(UsageError, match="has finished: there is nothing to resume"):
        eb.resume(path, data=clouds())
    assert outcome(path) == before


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no run"):
        eb.resume(tmp_path)


@pytest.mark.filterwarnings("default")
def test_what_is_not_as_it_was_is_named_in_a_warning_and_in_the_manifest(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["machine"] |= {"threads": 77, "torch": "1.0"}
    manifest["plugins"] = [{"distribution": "eb-lost", "version": "3.1", "plugin": "lost", "status": "ok"}]
    (path / "manifest.json").write_text(json.dumps(manifest))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        eb.resume(path, data=clouds())
    said = [str(one.message) for one in caught]
    assert [line.split(" when")[0] for line in said] == ["threads was 77", "torch was 1.0", "eb-lost was 3.1"]
    assert json.loads((path / "manifest.json").read_text())["resumed"][0]["differences"] == said


def test_strides_and_every_bit_survive_a_checkpoint(tmp_path: Path) -> None:
    tensors = {
        "channels last": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "transposed": torch.rand(3, 4, dtype=torch.float64).t(),
        "nan": torch.tensor([float("nan"), -0.0, float("inf")]),
        "empty": torch.zeros(0, 2),
        "scalar": torch.tensor(7),
        "half": torch.rand(3).bfloat16(),
    }
    file = tmp_path / "checkpoint.safetensors"
    file.write_bytes(Checkpoint(tensors, {"sums": {"done": 1}, "rate": 0.1 + 0.2}).encode())
    read = Checkpoint.read(file)
    assert read.plain == {"sums": {"done": 1}, "rate": 0.1 + 0.2}
    assert read.tensors.keys() == tensors.keys()
    for name, value in tensors.items():
        assert read.tensors[name].stride() == value.stride()
        assert read.tensors[name].dtype == value.dtype
        assert torch.equal(read.tensors[name].nan_to_num(5.0), value.nan_to_num(5.0))


def test_predictions_of_the_test_split_are_written_on_request_also_after_resuming(tmp_path: Path) -> None:
    import numpy as np

    asked = {"predictions": True}
    result = eb.train(**PARTS, data=clouds(), out=tmp_path / "whole", **SETTINGS, **asked)
    stop = [StopAt(1, 2, KeyboardInterrupt)]
    with pytest.raises(KeyboardInterrupt):
        eb.train(**PARTS, data=clouds(), out=tmp_path / "stopped", observers=stop, **SETTINGS, **asked)
    (path,) = (tmp_path / "stopped").iterdir()
    eb.resume(path, data=clouds())
    assert result.path is not None
    first, second = (np.load(run / "predictions.npz") for run in (result.path, path))
    assert sorted(first) == ["labels", "predicted", "readout"]
    assert all((first[name] == second[name]).all() for name in first)
    assert first["labels"].tolist() == clouds().train.y.tolist()
    assert result.test is not None
    assert (first["predicted"] == first["labels"]).mean() == pytest.approx(result.test.accuracy)
    assert first["readout"].shape == (44, 2)
