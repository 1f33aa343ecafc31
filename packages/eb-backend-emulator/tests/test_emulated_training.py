"""A training on an emulated chip: what it learns, what stops it, and that it goes on as if nothing had happened."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import eb_core as eb
from eb_backend_emulator.chip import EmulatedChip
from eb_backend_emulator.emulator import CHIPS, Emulator
from eb_core import Data, EpochReport
from eb_core.device.contract import Drive, Readout

FAULTS = {
    "chip": "oim-cmos",
    "readout_noise": 0.002,
    "mismatch": 0.05,
    "detuning": 0.001,
    "parameter_noise": 0.001,
    "drift": 1e-4,
    "update_bits": 10,
    "transient_faults": 0.05,
    "shadow": False,
    "allow_lossy": True,
}
"""Everything that makes a chip differ from the last one, and from itself an hour ago."""


class Stopped(Exception):
    """A training that is cut off."""


class StopAt:
    def __init__(self, epoch: int, batch: int) -> None:
        self.at = epoch, batch

    def batch(self, epoch: int, done: int, total: int) -> None:
        if (epoch, done) == self.at:
            raise Stopped

    def epoch(self, report: EpochReport) -> None: ...


def clouds() -> Data:
    """Two classes in four dimensions, which a straight line does not separate."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(64, 4, generator=generator)
    y = ((x[:, 0] > 0.5) ^ (x[:, 1] > 0.5)).long()
    return Data.from_arrays(x[:48], y[:48], test=(x[48:], y[48:]))


def trained(folder: Path, *observers: Any, **options: Any) -> eb.TrainingResult:
    parts = {
        "model": {"name": "mlp", "hidden": [6]},
        "energy": "oim",
        "relaxer": "oim",
        "rule": {"name": "c-ep", "beta": 0.1},
        "backend": {"name": "emulator"} | options,
    }
    settings = {"epochs": 2, "batch_size": 8, "lr": 0.01, "validation": 0.0, "checkpoint_batches": 1, "seed": 1}
    return eb.train(**parts, **settings, data=clouds(), out=folder, observers=observers)


def outcome(path: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Weights, and what was counted of each epoch, but for times."""
    epochs = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for epoch in epochs:
        del epoch["seconds"], epoch["usage"]["seconds"]
    return eb.load_run(path).network.state_dict(), epochs


@pytest.mark.parametrize("at", [(0, 2), (1, 1), (1, 5)])
def test_a_training_that_was_cut_off_goes_on_as_if_nothing_had_happened(tmp_path: Path, at: tuple[int, int]) -> None:
    undisturbed = trained(tmp_path / "whole", **FAULTS).path
    with pytest.raises(Stopped):
        trained(tmp_path / "parts", StopAt(*at), **FAULTS)
    (path,) = (tmp_path / "parts").iterdir()
    eb.resume(path, data=clouds())
    (weights, epochs), (other_weights, other_epochs) = outcome(undisturbed), outcome(path)
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert epochs == other_epochs


def test_a_run_says_that_a_chip_was_emulated_and_what_it_was_used_for(tmp_path: Path) -> None:
    result = trained(tmp_path, chip="ideal", transient_faults=0.3)
    assert result.path is not None
    assert "-oim-emulator-c-ep-" in result.path.name
    assert result.usage["settles"] == 2 * 6 * 2 + 1, (
        "two epochs of six batches, free and both nudges as one, and a test"
    )
    assert result.usage["programs"] == 2 * 6 + 1
    assert result.usage["retries"] > 0


@pytest.mark.parametrize("name", sorted(path.stem for path in CHIPS.glob("*.toml")))
def test_every_chip_that_is_shipped_trains_the_physics_that_it_has(name: str) -> None:
    unit = Emulator(chip=name).capabilities().unit
    energy = {"any": "hopfield", "phase": "oim", "amplitude": "cim"}[unit]
    backend = {"name": "emulator", "chip": name, "allow_lossy": True}
    result = eb.train(
        {"name": "mlp", "hidden": [6]}, energy=energy, relaxer="gradient-flow", backend=backend, data=clouds(), epochs=1
    )
    assert result.usage["settles"] > 0


@pytest.mark.parametrize("call", [1, 2, 9, 10, 15])
def test_what_ctrl_c_broke_off_in_mid_batch_leaves_no_trace_in_the_resumed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    undisturbed = trained(tmp_path / "whole", **FAULTS).path
    calls = iter(range(1, 1000))

    def settle(chip: EmulatedChip, drive: Drive, deadline: float) -> Readout:
        readout = own_settle(chip, drive, deadline)
        if next(calls) == call:
            raise KeyboardInterrupt
        return readout

    own_settle = EmulatedChip.settle
    monkeypatch.setattr(EmulatedChip, "settle", settle)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "parts", **FAULTS)
    (path,) = (tmp_path / "parts").iterdir()
    eb.resume(path, data=clouds())
    (weights, epochs), (other_weights, other_epochs) = outcome(undisturbed), outcome(path)
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    for epoch in (*epochs, *other_epochs):
        del epoch["usage"]["clipped"]  # without shadow weights, what was cut once needs no cutting again
    assert epochs == other_epochs
