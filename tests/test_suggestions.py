"""Command lines that are suggested: copied into a shell, they do what they say, whatever the paths are called."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from test_cli_runs import TINY, stopped
from typer.testing import Result

from eb_core import UsageError
from eb_core.registry.commands import command
from eb_core.training.checkpoint import Checkpoint

Eb = Callable[..., Result]

ODD = "my run's;rm -rf $HOME #[bold]"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash to ask")
def test_a_shell_reads_every_word_as_it_was_meant() -> None:
    words = [
        "plain-1.0/x",
        "",
        "two words",
        "it's; rm -rf ~ & $(x) `y` \\ *",
        "a\nb'c\\d\x1b[2J",
        "\udcff\u202eé",
        "-x",
    ]
    line = command("printf", "%s\\0", *words)
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in words]


def test_a_path_that_begins_with_a_hyphen_stays_a_path() -> None:
    assert command("eb", "evaluate", Path("-x/y")) == "eb evaluate ./-x/y"
    assert command("eb", "--resume", "-x") == "eb --resume -x"


def suggested(text: str, verb: str) -> list[str]:
    """The words after `eb` of the line that begins with `eb <verb>`."""
    line = re.search(rf"eb {verb} .*", text)
    assert line, text
    return shlex.split(line[0])[1:]


def test_what_a_training_suggests_at_its_end_works_as_it_stands(eb: Eb) -> None:
    result = eb(*TINY, "--epochs", "1", "--out", ODD, "--data-dir", "data of mine")
    assert result.exit_code == 0
    again, evaluate = suggested(result.stdout, "train"), suggested(result.stdout, "evaluate")
    assert again[-3:] == evaluate[-3:] == ["--data-dir", "data of mine", "--trust"]
    assert eb(*again, "--dry-run").exit_code == 0
    assert eb(*evaluate).exit_code == 0


def test_what_a_run_that_stopped_suggests_works_as_it_stands(eb: Eb, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(ODD).mkdir()
    monkeypatch.chdir(ODD)
    path = stopped(eb)
    monkeypatch.chdir("..")
    odd = Path(ODD, path)
    result = eb("runs", Path(ODD, "runs"))
    assert suggested(result.stdout, "train") == ["train", "--resume", str(odd)]
    (odd / "checkpoint.safetensors").rename(odd / "kept")
    (odd / "checkpoint.safetensors").write_bytes(b"nothing")
    with pytest.raises(UsageError) as damaged:
        Checkpoint.read(odd / "checkpoint.safetensors")
    assert suggested(damaged.value.faults[0].advice, "train") == ["train", "--recipe", str(odd / "recipe.toml")]
    (odd / "kept").rename(odd / "checkpoint.safetensors")
    assert eb("train", "--trust", "--resume", odd).exit_code == 0
    finished = eb("train", "--resume", odd)
    assert suggested(finished.stderr, "train") == ["train", "--recipe", str(odd / "recipe.toml")]
