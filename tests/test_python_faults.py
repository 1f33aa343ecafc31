"""What is wrong about a call from Python is a UsageError before any work starts, and nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_parts import Tiny

import eb_core as eb
from eb_core import TrainedNet, UsageError

MODEL = {"name": "mlp", "hidden": [3]}


class Deaf:
    def epoch(self, report: object) -> None:
        pass


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"data": (torch.zeros(4, 2), torch.zeros(4))}, "data must be eb_core.Data, not a tuple"),
        ({"data": {"x": torch.zeros(4, 2)}}, "data must be eb_core.Data, not a dict"),
        ({"data": Tiny().load(), "dataset": "digits"}, "both data= and dataset= are given"),
        ({"recipe": 5}, "recipe must be the name or file of a recipe, or a list of them, not a int"),
        ({"recipe": ["mlp", None]}, "recipe must be"),
        ({"recipe": {"model": {}}}, "recipe must be"),
        ({"model": 5}, "the model must be a name, a mapping or an instance of Model, not 5"),
        ({"model": {5: 1}}, "options of the model are named by text, not by 5"),
        ({"model": {"name": 5}}, "name of the model must be text"),
        ({"relaxer": eb.Simulator()}, "the relaxer must be a name"),
        ({"out": 5}, "5 is no path"),
        ({"registry": "all"}, "registry must be a Registry, not a str"),
        ({"observers": [Deaf()]}, "the observer Deaf has no method batch"),
        ({"observers": [5]}, "the observer int has no method batch and no method epoch"),
        ({"observers": Deaf()}, "observers must be a list, not a Deaf"),
        ({"epoch": 5}, "the trainer has no option 'epoch'"),
        ({"device": "meta"}, "device 'meta' cannot be used"),
        ({"device": 5}, "option 'device' of the trainer must be text"),
    ],
)
def test_eb_train_refuses_what_makes_no_sense(tmp_path: Path, arguments: dict[str, Any], said: str) -> None:
    usual = {"model": MODEL, "out": tmp_path / "runs"} | ({} if "data" in arguments else {"dataset": Tiny()})
    with pytest.raises(UsageError) as caught:
        eb.train(**{**usual, **arguments})
    assert said in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_misspelt_option_of_the_trainer_gets_a_hint() -> None:
    with pytest.raises(UsageError, match="did you mean 'epochs'"):
        eb.train(MODEL, dataset=Tiny(), epoch=5)


def test_a_recipe_may_be_a_path(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[trainer]\nepochs = 1\n")
    result = eb.train(MODEL, dataset=Tiny(), recipe=tmp_path / "mine.toml")
    assert len(result.reports) == 1


@pytest.mark.parametrize("call", [eb.load_run, eb.resume])
@pytest.mark.parametrize("path", [None, 5, b"runs", ["runs"]])
def test_a_run_that_is_no_path_is_refused(call: Callable[[Any], Any], path: Any) -> None:
    with pytest.raises(UsageError, match="is no path"):
        call(path)


@pytest.fixture(scope="module")
def net() -> TrainedNet:
    return eb.train(MODEL, dataset=Tiny(), epochs=1).net


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ("abc", "x is no array of real numbers"),
        ([["a", "b", "c", "d"]], "x is no array of real numbers"),
        ([[1, 2, 3, 4], [1, 2]], "x is no array of real numbers"),
        ([[None] * 4], "x is no array of real numbers"),
        ({"x": 1}, "x is no array of real numbers"),
        (object(), "x is no array of real numbers"),
        (None, "x is no array of real numbers"),
        (np.zeros((2, 4), np.complex64), "x is no array of real numbers: it holds complex"),
        (torch.zeros(2, 4, dtype=torch.complex64), "it holds complex numbers"),
        (np.zeros((0, 4)), "input of shape (0, 4)"),
        ([], "input of shape (0,)"),
        (5, "network of inputs (4,)"),
        (np.zeros((2, 3)), "input of shape (2, 3) for a network of inputs (4,)"),
        (np.zeros(4), "input of shape (4,) for a network of inputs (4,)"),
        (np.full((2, 4), np.nan), "input holds 8 values that are not finite; the first is nan in sample 0"),
        (np.full((2, 4), 1e300), "input holds 8 values that are not finite; the first is inf in sample 0"),
    ],
)
def test_predict_refuses_what_is_no_batch_of_numbers(net: TrainedNet, x: Any, said: str) -> None:
    for ask in (net.predict, net.readout, net.settle):
        with pytest.raises(UsageError) as caught:
            ask(x)
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[::-1, ::-1][::-1, ::-1],
        lambda x: x.tolist(),
        lambda x: x.astype(">f4"),
        lambda x: x.astype(np.float64),
        np.asfortranarray,
        lambda x: torch.from_numpy(x).requires_grad_(),
    ],
)
def test_any_array_of_the_same_numbers_gives_the_same_answer(net: TrainedNet, change: Callable[[Any], Any]) -> None:
    x = np.random.default_rng(0).random((5, 4), np.float32)
    assert torch.equal(net.readout(change(x)), net.readout(x))
    assert net.predict(x > 0.5).shape == (5,)


def test_only_data_can_be_scored(net: TrainedNet) -> None:
    with pytest.raises(UsageError, match=r"Data.from_arrays"):
        net.score((np.zeros((2, 4)), np.zeros(2)))  # type: ignore[arg-type]
