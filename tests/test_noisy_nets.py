"""A net whose dynamics has noise predicts: the same input, the same answer, and independent draws on request."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_parts import Tiny

import eb_core as eb
from eb_core import TrainedNet

NOISY: list[dict[str, Any]] = [
    {"energy": "oim", "relaxer": {"name": "oim", "noise": 0.3, "steps": 20, "nudged_steps": 5, "tol": 0.0}},
    {"relaxer": {"name": "csb", "noise": 0.3, "steps": 10, "nudged_steps": 5, "tol": 0.0}},
    {"energy": "cim", "relaxer": {"name": "cim", "noise": 0.3}},
]


@pytest.mark.parametrize("parts", NOISY, ids=["oim", "csb", "cim"])
def test_a_noisy_net_answers_and_a_loaded_one_gives_the_same_answer(tmp_path: Path, parts: dict[str, Any]) -> None:
    result = eb.train({"name": "mlp", "hidden": [6]}, dataset=Tiny(), epochs=1, seed=3, out=tmp_path, **parts)
    assert result.path is not None
    data = Tiny().load()
    x = data.train.x
    first = result.net.readout(x)
    for net in (result.net, eb.load_run(result.path)):
        assert isinstance(net, TrainedNet)
        assert torch.equal(net.readout(x), first)
        assert torch.equal(net.predict(x), first.argmax(1))
        assert torch.equal(net.settle(x).state["hidden1"], result.net.settle(x).state["hidden1"])
        assert net.score(data) == result.test

    source = torch.Generator().manual_seed(1)
    draws = [result.net.readout(x, generator=source) for _ in range(2)]
    assert not torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], result.net.readout(x, generator=torch.Generator().manual_seed(1)))
    assert result.net.predict(x, generator=source).shape == (40,)
    assert result.net.settle(x, generator=source).steps.shape == (40,)
    assert 0 <= result.net.score(data, generator=source).accuracy <= 1
