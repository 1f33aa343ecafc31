"""Advice names the cause that was measured: each is given on the case that it is for, and following it helps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import Result

import eb_core as eb
from eb_core import Data, Notice
from eb_datasets.digits import Digits

Eb = Callable[..., Result]
DIGITS = Digits().load()


def trained(epochs: int = 1, data: Data = DIGITS, hidden: tuple[int, ...] = (32,), **options: Any) -> Any:
    gain = options.pop("gain", None)
    model = {"name": "mlp", "hidden": list(hidden)} | ({"gain": gain} if gain else {})
    return eb.train(model, data=data, epochs=epochs, threads=1, **options)


def advice(**options: Any) -> str:
    with pytest.warns(Notice) as caught:
        result = trained(**options)
    assert [str(one.message) for one in caught] == [line for report in result.reports for line in report.advice]
    assert all(one.filename == __file__ for one in caught), "a warning points at the line that called eb.train"
    (line,) = result.reports[-1].advice
    return str(line)


def test_a_training_in_good_order_gets_none() -> None:
    assert [report.advice for report in trained(epochs=2).reports] == [(), ()]


def test_too_few_iterations() -> None:
    relaxer = {"name": "hopfield", "steps": 2, "nudged_steps": 1}
    assert "raise steps and nudged_steps" in advice(hidden=(32, 32), relaxer=relaxer)
    longer = {"name": "hopfield", "steps": 20, "nudged_steps": 10}
    assert not trained(hidden=(32, 32), relaxer=longer).reports[0].advice


def test_too_loose_a_tolerance_is_to_be_lowered_and_not_raised() -> None:
    relaxer = {"name": "gradient-flow", "dt": 0.2, "steps": 300, "nudged_steps": 300, "tol": 0.5}
    assert "lower tol of the relaxer from 0.5" in advice(hidden=(32, 32), relaxer=relaxer)
    assert not trained(hidden=(32, 32), relaxer=relaxer | {"tol": 1e-4}).reports[0].advice


def test_a_beta_that_float32_does_not_resolve() -> None:
    rule = {"name": "c-ep", "beta": 1e-7}
    assert "float32 does not resolve this beta: use float64" in advice(hidden=(32, 32), rule=rule)
    assert not trained(hidden=(32, 32), rule=rule, dtype="float64").reports[0].advice


def test_noise_that_drowns_the_nudge() -> None:
    relaxer = {"name": "csb", "noise": 0.3}
    assert "another draw of its noise: raise beta" in advice(relaxer=relaxer)


def test_inputs_that_are_not_scaled() -> None:
    parts = [(split.x * 4000, split.y) for split in (DIGITS.train, DIGITS.test) if split is not None]
    raw = Data.from_arrays(*parts[0], test=parts[1])
    assert "because inputs are as large as 1.9" in advice(data=raw)


def test_first_weights_that_are_too_large() -> None:
    assert "with the first weights already: lower the gain" in advice(gain=[30.0])
    assert not trained(gain=[0.7]).reports[0].advice


def test_learning_that_drives_units_to_their_walls() -> None:
    assert "before training: lower the learning rate" in advice(lr=3.0)
    assert not trained(lr=3e-3).reports[0].advice


def test_a_net_too_deep_for_its_inputs_to_reach_the_output() -> None:
    deep = advice(hidden=(64,) * 8)
    assert "the read-outs of all inputs are the same" in deep
    assert "lost between the layers hidden" in deep
    assert "use fewer hidden layers" in deep
    shallow = trained(hidden=(64, 64))
    assert not shallow.reports[0].advice
    assert shallow.test.accuracy > 0.8


def test_inputs_too_small_to_be_seen() -> None:
    faint = Data.from_arrays(DIGITS.train.x * 1e-6, DIGITS.train.y)
    assert "layer hidden1 does not see the inputs; scale them up" in advice(data=faint)


def test_what_cannot_be_measured_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a part of a stranger")

    monkeypatch.setattr("eb_core.training.diagnosis.Probe.advice", fails)
    assert "could not be measured: RuntimeError: a part of a stranger" in advice()


def test_a_probe_moves_neither_weights_nor_random_numbers() -> None:
    before = torch.get_rng_state()
    plain, probed = trained(), trained()
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in plain.net.network.state_dict().items():
        assert torch.equal(value, probed.net.network.state_dict()[name])


def test_the_command_prints_it_once_and_the_metrics_keep_it(eb: Eb) -> None:
    result = eb("train", "--model-opt", f"hidden={[16] * 8}", "--epochs", "2")
    assert result.exit_code == 0
    assert result.stdout.count("advice: the read-outs of all inputs are the same") == 1
    (run,) = Path("runs").iterdir()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all("use fewer hidden layers" in line["advice"][0] for line in lines)
