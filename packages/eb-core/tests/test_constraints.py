"""Constraints that an edge declares hold from the first weights to the last, and for weights that come from a file."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_physics import Descent
from resume_parts import PARTS, Conductors, clouds, outcome, stopped, whole

import eb_core as eb
from eb_core import Network, UsageError
from eb_core.diagnostics.resistive import Resistive

OWN: dict[str, Any] = {"model": Conductors(), "relaxer": Descent(steps=40, nudged_steps=40)}


def conductances(network: Network) -> torch.Tensor:
    return torch.cat([edge.weight.detach().flatten() for edge in network.edges.values() if isinstance(edge, Resistive)])


def test_a_training_stays_within_the_bounds_and_uses_them(tmp_path: Path) -> None:
    net = eb.train(**{**PARTS, **OWN}, data=clouds(), epochs=3, batch_size=8, lr=0.05).net
    found = conductances(net.network)
    assert float(found.min()) == 0
    assert 0 < int((found == 0).sum()) < len(found)
    lateral = net.network.get_parameter("edges.hidden-hidden.weight")
    assert float(lateral.detach().triu(1).abs().sum()) > 0
    assert float(lateral.detach().tril().abs().sum()) == 0


def test_a_run_with_constraints_goes_on_bit_for_bit(tmp_path: Path) -> None:
    path = stopped(tmp_path / "stopped", **OWN)
    eb.resume(path, data=clouds(), trust=True)
    assert outcome(path) == outcome(whole(tmp_path / "whole", **OWN))


@pytest.mark.parametrize("read", [eb.resume, eb.load_run])
def test_weights_from_a_file_that_an_edge_does_not_allow_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Any
) -> None:
    path = stopped(tmp_path, **OWN) if read is eb.resume else whole(tmp_path, **OWN)
    monkeypatch.setattr(Resistive, "bounds", {"weight": (0.5, math.inf)})
    with pytest.raises(UsageError, match=r"edges.input-hidden.weight.* that the edge does not allow"):
        read(path, trust=True, **({"data": clouds()} if read is eb.resume else {}))
