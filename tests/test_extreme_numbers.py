"""Numbers that are typed but extreme end in one error or a finite result, never in a hang or a raw exception."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import eb_core as eb
from eb_core import Data, EbError

MLP = {"name": "mlp", "hidden": [5]}
OIM = {"energy": "oim", "relaxer": {"name": "oim-newton", "steps": 12, "nudged_steps": 4}}


def samples() -> Data:
    x = torch.rand(24, 4, generator=torch.Generator().manual_seed(0))
    return Data.from_arrays(x, torch.arange(24) % 3, test=(x[:6], torch.arange(6) % 3))


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 1e300},
        {"lr": 1e30},
        {"lr": 1e30, "optimizer": "sgd"},
        {"lr": 1e-320},
        {"layer_lr": {"*": 1e300}},
        {"weight_decay": 1e300},
        {"weight_decay": 1e30},
        {"epochs": 10**400},
        {"batch_size": 10**400},
        {"threads": 10**9},
        {"seed": 10**400},
        {"relaxer": {"name": "csb", "check_every": 10**400}},
        {"rule": {"name": "p-ep", "beta": 1e300}},
        {"rule": {"name": "p-ep", "beta": 1e15}},
        {"rule": {"name": "c-ep", "beta": 1e-320}},
        {"rule": {"name": "p-cpl", "beta": 1e300}},
        {"rule": {"name": "p-cpl", "beta": 1e-320}},
        {"cost": {"name": "cross-entropy", "temperature": 1e-300}},
        {"cost": {"name": "cross-entropy", "temperature": 1e300}},
        {"cost": {"name": "squared-error", "copies": 2**62}},
        {"model": {"name": "mlp", "hidden": [10**400]}},
        {"model": {"name": "mlp", "hidden": [2**62]}},
        *({"model": {**MLP, "gain": [gain]}, **OIM} for gain in (1e300, 1e30, 1e15, 1e-300)),
        *({"model": {**MLP, "gain": [gain]}, "relaxer": "csb"} for gain in (1e300, 1e30, 1e15)),
        {"model": {**MLP, "gain": [1e300]}, "rule": "rbp"},
        {"model": {**MLP, "gain": [1e30]}, "energy": "cim", "relaxer": "cim"},
        {"relaxer": {"name": "csb", "dt": 1e-320}},
        {"relaxer": {"name": "csb", "noise": 1e300}},
        {"relaxer": {"name": "gradient-flow", "dt": 1e-320}},
        {"relaxer": {"name": "hopfield", "tol": 1e300}},
        {"energy": "oim", "relaxer": {"name": "oim", "eps": 1e300, "steps": 20, "nudged_steps": 5}},
        {"energy": "oim", "relaxer": {"name": "oim-newton", "dt": 1e300}},
        {"energy": {"name": "oim", "sync": 1e6}, "relaxer": OIM["relaxer"]},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::eb_core.Notice")
def test_an_extreme_number_ends_in_one_error_or_a_finite_result(tmp_path: Path, settings: dict[str, Any]) -> None:
    arguments = {"model": MLP, "data": samples(), "epochs": 1, "batch_size": 8, "out": tmp_path} | settings
    error, result = None, None
    try:
        result = eb.train(**arguments)
    except EbError as raised:
        error = raised
    if error:
        assert all(fault.advice for fault in error.faults)
        ends = [json.loads(file.read_text())["status"] for file in tmp_path.glob("*/manifest.json")]
        assert set(ends) <= {"failed"}
        assert len(ends) == len(list(tmp_path.iterdir()))
    if result:
        assert all(bool(value.isfinite().all()) for value in result.net.network.parameters())
