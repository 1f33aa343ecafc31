"""A checkpoint that somebody wrote, digest and all, is refused unless each of its tensors and values can be what it is.

Nothing in it may end in a traceback, or in a training that goes on from what no training wrote.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from resume_parts import clouds, stopped
from torch import Tensor

import eb_core as eb
from eb_core import UsageError
from eb_core.training.checkpoint import Checkpoint


def is_refused(path: Path, tensors: dict[str, Tensor], plain: dict[str, Any]) -> bool:
    """Whether a copy of the run with this checkpoint is refused; anything else that is raised fails the test."""
    copy = path.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    forged = Checkpoint(tensors, plain).encode()
    (copy / "checkpoint.safetensors").write_bytes(forged)
    try:
        eb.resume(copy, data=clouds(), trust=True)
    except UsageError:
        return (copy / "checkpoint.safetensors").read_bytes() == forged
    return False


@pytest.fixture(params=["sgd", "adam"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A run that was stopped in its second epoch."""
    return stopped(tmp_path, optimizer=request.param)


CHANGES: dict[str, Callable[[Tensor], Tensor | None]] = {
    "missing": lambda value: None,
    "longer": lambda value: torch.cat([value.reshape(-1), value.reshape(-1)]),
    "empty": lambda value: torch.zeros(0),
    "of another type": lambda value: value.to(torch.bool),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_tensor_that_is_not_what_it_must_be(path: Path, change: str) -> None:
    genuine = Checkpoint.read(path / "checkpoint.safetensors")
    for name, value in genuine.tensors.items():
        changed = CHANGES[change](value)
        tensors = {one: tensor for one, tensor in genuine.tensors.items() if one != name}
        if name.startswith("carry.memory/") and change in {"missing", "of another type"}:
            continue  # the memory of a dynamics is its own: only its samples are known
        assert is_refused(path, tensors if changed is None else tensors | {name: changed}, dict(genuine.plain)), name


MAY_BE: dict[str | float, set[str]] = {
    "words": {"advice"},
    -1e300: {"loss", "lr", "seconds", "health", "best"},
    math.nan: {"health"},
    math.inf: {"health"},
}


def places(value: Any, *way: Any) -> Iterator[tuple[Any, ...]]:
    """The way to every number, text and truth value inside `value`."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], *way, key)
    else:
        yield way


@pytest.mark.parametrize("odd", ["words", ["words"], -1e300, math.nan, math.inf])
def test_a_value_that_is_not_what_it_must_be(path: Path, odd: Any) -> None:
    genuine = Checkpoint.read(path / "checkpoint.safetensors")
    allowed = MAY_BE.get(odd if isinstance(odd, str | float) else "", set())
    ways = [way for way in places(dict(genuine.plain)) if not allowed & {*way}]
    assert len(ways) > 20
    for way in ways:
        plain = json.loads(json.dumps(dict(genuine.plain)))
        inside = plain
        for key in way[:-1]:
            inside = inside[key]
        inside[way[-1]] = odd
        assert is_refused(path, dict(genuine.tensors), plain), way
