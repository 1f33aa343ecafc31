"""The files of a run are what the run wrote, or they are refused with one error; others may read them."""

import json
import os
import random
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from resume_parts import clouds, stopped, whole

import eb_core as eb
from eb_core import Notice, UsageError
from eb_core.training.manifest import CHECKPOINT, MANIFEST, METRICS, RECIPE, WEIGHTS
from eb_core.training.sealed import Sealed


def refused(call: Callable[[], object], *parts: str) -> str:
    with pytest.raises(UsageError) as caught:
        call()
    assert len(caught.value.faults) == 1
    text = str(caught.value)
    assert all(part in text for part in parts), text
    return text


def rewrite(path: Path, **facts: Any) -> None:
    file = path / MANIFEST
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def write_weights(path: Path, change: Callable[[torch.Tensor], torch.Tensor] | None, *, sealed: bool) -> None:
    """The weights, changed by somebody who knows the format."""
    tensors = safetensors.torch.load((path / WEIGHTS).read_bytes())
    changed = {name: change(value) if change else value for name, value in tensors.items()}
    (path / WEIGHTS).write_bytes(Sealed.of(changed).encode() if sealed else safetensors.torch.save(changed))


def test_every_flipped_bit_of_the_weights_is_refused(tmp_path: Path) -> None:
    path, chance, registry = whole(tmp_path), random.Random(0), eb.Registry.installed()
    file = path / WEIGHTS
    good = file.read_bytes()
    for _ in range(120):
        place, bit = chance.randrange(len(good)), chance.randrange(8)
        file.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
        refused(lambda: eb.load_run(path, registry=registry, trust=True), "the weights do not fit: ")
    file.write_bytes(good)
    eb.load_run(path, trust=True)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_whoever_sealed_them(tmp_path: Path, number: float) -> None:
    path = whole(tmp_path)
    write_weights(path, lambda value: torch.full_like(value, number), sealed=True)
    rewrite(path, weights=None)
    refused(lambda: eb.load_run(path, trust=True), "the weights do not fit: are not finite")


def test_weights_of_another_run_are_refused(tmp_path: Path) -> None:
    path = whole(tmp_path)
    write_weights(path, lambda value: value + 1e-3, sealed=True)
    refused(lambda: eb.load_run(path, trust=True), "are not those that the run wrote")
    write_weights(path, None, sealed=False)
    refused(lambda: eb.load_run(path, trust=True), "are not those that the run wrote")


def test_weights_of_a_time_before_digests_are_accepted_with_a_notice(tmp_path: Path) -> None:
    path = whole(tmp_path)
    write_weights(path, None, sealed=False)
    rewrite(path, weights=None)
    with pytest.warns(Notice, match="is of a time before digests"):
        eb.load_run(path, trust=True)


def test_a_kill_between_weights_and_manifest_leaves_weights_that_load(tmp_path: Path) -> None:
    path = stopped(tmp_path, error=KeyboardInterrupt)
    assert json.loads((path / MANIFEST).read_text())["weights"]
    killed: list[str] = []

    class Kill(Exception):
        pass

    def finish(run: Any, status: str, **_: Any) -> None:
        killed.append(status)
        raise Kill

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eb_core.training.runs.Run.finish", finish)
        with pytest.raises(Kill):
            eb.resume(path, trust=True, data=clouds())
    assert killed[0] == "finished"
    eb.load_run(path, trust=True)


def as_pipe(file: Path) -> None:
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def as_folder(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.mkdir()


def as_loop(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(file.name)


ODD: dict[str, Callable[[Path], object]] = {
    "a pipe": as_pipe,
    "a folder": as_folder,
    "a loop of links": as_loop,
    "a device": lambda file: (file.unlink(missing_ok=True), file.symlink_to("/dev/zero")),
    "empty": lambda file: file.write_bytes(b""),
    "not UTF-8": lambda file: file.write_bytes(b"\xff\xfe\x00"),
    "zeros": lambda file: file.write_bytes(b"\x00" * 4096),
    "deep": lambda file: file.write_text("[" * 100_000),
    "a list": lambda file: file.write_text("[]\n"),
}


@pytest.mark.parametrize("name", [MANIFEST, RECIPE, CHECKPOINT])
@pytest.mark.parametrize("odd", ODD)
def test_a_run_with_an_odd_file_is_not_resumed(tmp_path: Path, name: str, odd: str) -> None:
    path = stopped(tmp_path)
    ODD[odd](path / name)
    refused(lambda: eb.resume(path, trust=True, data=clouds()), name)


@pytest.mark.parametrize("name", [MANIFEST, RECIPE, WEIGHTS])
@pytest.mark.parametrize("odd", ODD)
def test_a_run_with_an_odd_file_is_not_loaded(tmp_path: Path, name: str, odd: str) -> None:
    path = whole(tmp_path)
    ODD[odd](path / name)
    with pytest.raises(UsageError):
        eb.load_run(path, trust=True)


@pytest.mark.parametrize(
    "facts",
    [
        {"recipe": None},
        {"recipe": {"model": []}},
        {"data": None},
        {"data": {"checksum": "x", "classes": "2", "input_shape": [4]}},
        {"data": {"checksum": "x", "classes": 2, "input_shape": [4, -1]}},
        {"status": "exploded"},
        {"status": ["running"]},
        {"process": None},
        {"process": {"host": 7, "pid": 1}},
        {"process": {"host": "here", "pid": True}},
        {"machine": []},
        {"plugins": [None]},
        {"plugins": {"distribution": "x"}},
        {"resumed": "yes"},
        {"weights": 7},
        {"other": json.loads("[" * 50 + "]" * 50)},
    ],
    ids=str,
)
def test_a_manifest_of_another_shape_is_damaged(tmp_path: Path, facts: dict[str, Any]) -> None:
    path = stopped(tmp_path)
    rewrite(path, **facts)
    refused(lambda: eb.resume(path, trust=True, data=clouds()), f"{MANIFEST} of {path} is damaged")
    refused(lambda: eb.load_run(path, trust=True), f"{MANIFEST} of {path} is damaged")


@pytest.mark.parametrize("plain", [{}, {"reports": 3}, {"reports": [], "sums": None}, {"reports": [], "recipe": []}])
def test_a_checkpoint_with_another_idea_of_what_is_in_it_is_refused(tmp_path: Path, plain: dict[str, Any]) -> None:
    path = stopped(tmp_path)
    text = json.dumps({"strides": {"x": [1]}, "recipe": {}, "sums": {"done": 0}} | plain)
    (path / CHECKPOINT).write_bytes(Sealed.of({"x": torch.zeros(3)}, text).encode())
    with pytest.raises(UsageError, match=r"does not hold what a checkpoint holds|began with another recipe"):
        eb.resume(path, trust=True, data=clouds())


@pytest.fixture
def umask() -> Iterator[Callable[[int], object]]:
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_files_have_the_permissions_that_the_umask_leaves(tmp_path: Path, umask: Any, mask: int) -> None:
    umask(mask)
    path = stopped(tmp_path / "a", error=KeyboardInterrupt)
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    assert {MANIFEST, RECIPE, METRICS, CHECKPOINT, WEIGHTS} < files.keys()
    assert set(files.values()) == {0o666 & ~mask}, files
