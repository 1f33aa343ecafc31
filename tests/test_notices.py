"""What an energy or a relaxer has to say is shown once before the first epoch, and kept."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_parts import Tiny
from typer.testing import Result

from eb_core import Notice, load_run, train

Eb = Callable[..., Result]

TINY = ["train", "--dataset", "tiny_parts:Tiny", "--model-opt", "hidden=[4]", "--epochs", "2"]
CHATTY = ["--relaxer", "talkative_parts:Chatty", "--energy", "talkative_parts:Talkative"]
SAID = ["it is late", "2 edges [sic]: use one"]


def test_the_command_prints_each_once_before_the_first_epoch_and_the_manifest_keeps_it(eb: Eb) -> None:
    result = eb(*TINY, *CHATTY)
    assert result.exit_code == 0
    for notice in SAID:
        assert result.stdout.count(f"note: {notice}") == 1
        assert result.stdout.index(notice) < result.stdout.index("validation loss")
    (run,) = Path("runs").iterdir()
    assert json.loads((run / "manifest.json").read_text())["notices"] == SAID


def test_json_stays_one_document(eb: Eb) -> None:
    result = eb(*TINY, *CHATTY, "--json")
    assert json.loads(result.stdout)["test"]["samples"] == 10
    assert result.stderr.count("it is late") == 1


def test_python_gets_them_as_warnings(tmp_path: Path) -> None:
    parts = {"relaxer": {"name": "talkative_parts:Chatty"}, "energy": {"name": "talkative_parts:Talkative"}}
    with pytest.warns(Notice) as caught:
        result = train({"name": "mlp", "hidden": [4]}, dataset=Tiny(), epochs=1, out=tmp_path, **parts)
    assert [str(one.message) for one in caught] == SAID
    assert all(one.filename == __file__ for one in caught), "a warning points at the line that called eb.train"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert result.path is not None
        load_run(result.path, trust=True)


def test_who_has_nothing_to_say_says_nothing(eb: Eb) -> None:
    assert "note:" not in eb(*TINY).stdout
