"""A share of the fuzzed inputs: no exception, no hang, nothing lost. The fuzzers themselves are in benchmarks/."""

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from fuzz_commands import CommandLines
from fuzz_recipes import Recipes
from fuzz_runs import RunDirectories
from fuzz_scene import Scene
from fuzz_values import Known
from fuzz_watch import Seen, watch
from fuzz_workers import limit_memory
from fuzzing import Fuzzer, here

from eb_core import Registry

SEED = 2026


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The folder that the inputs run in, with a home of its own and a limit of memory."""
    made = Scene(tmp_path_factory.mktemp("fuzzed") / "scene")
    limits = limit_memory()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["eb"])
        patch.setattr(sys, "path", [*sys.path, str(made.folder / "on_path")])
        yield made
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.fixture(scope="module")
def known() -> Known:
    return Known(Registry.installed())


@pytest.mark.parametrize(("kind", "count"), [(CommandLines, 240), (Recipes, 100), (RunDirectories, 80)])
def test_fuzzed_inputs_end_in_words_in_time_and_without_a_trace(
    kind: type[Fuzzer], count: int, scene: Scene, known: Known
) -> None:
    report = here(kind(known), SEED, range(count), scene)
    assert sum(report.outcomes.values()) > 0.8 * count
    assert report.outcomes["done"] > 0.1 * count
    if report.findings:
        pytest.fail(f"seed {SEED}, to be run again alone with --seed and --only:\n{report}", pytrace=False)


def seen_of(call: Callable[[], Any]) -> list[str]:
    seen: Seen = watch(call, limit=0.3)
    return [kind for kind, _ in seen.faults(["train", "--json"])]


def loud(text: str, code: int) -> Callable[[], None]:
    def call() -> None:
        print(text, file=sys.stderr)  # noqa: T201
        sys.exit(code)

    return call


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        (loud("error: no", 2), []),
        (lambda: 1 / 0, ["raised"]),
        (loud("error: no", 7), ["exit code"]),
        (loud("error: KeyError: 'x'\n  try:  --traceback shows the whole way there", 1), ["internal error"]),
        (loud("Traceback (most recent call last):", 1), ["traceback"]),
        (loud("error: \x1b[2J", 2), ["control characters"]),
        (loud("error: \u202egnp", 2), ["control characters"]),
        (loud("error: " + "x" * 30_000, 2), ["long"]),
        (loud("", 1), ["silent"]),
        (lambda: time.sleep(9), ["hang"]),
        (lambda: random.seed(0), ["changed", "no JSON"]),
        (lambda: torch.manual_seed(1), ["changed", "no JSON"]),
        (lambda: os.chdir("/"), ["changed", "no JSON"]),
        (lambda: os.environ.update(EB_ODD="1"), ["changed", "no JSON"]),
        (lambda: print('{"loss": NaN}'), ["no JSON"]),  # noqa: T201
        (lambda: print('{"loss": null}'), []),  # noqa: T201
    ],
)
def test_the_watch_sees_what_goes_wrong(call: Callable[[], Any], kinds: list[str]) -> None:
    states = random.getstate(), torch.get_rng_state()
    try:
        assert seen_of(call) == kinds
    finally:
        random.setstate(states[0])
        torch.set_rng_state(states[1])
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_is_written_elsewhere_lost_or_left_behind_is_seen(scene: Scene) -> None:
    (scene.work / "own.txt").touch()
    before = scene.tree()
    run = scene.work / "runs" / "20260101-120000-mlp"
    run.mkdir(parents=True)
    assert scene.traces(before, ["train"], returned=True) == [("left behind", "a run directory without a manifest")]
    (run / "manifest.json").write_text('{"status": "running"}')
    (run / "metrics.jsonl").write_text('{"loss": NaN}')
    running = [("left behind", "a run that says it is running"), ("not finite", "metrics.jsonl")]
    assert sorted(scene.traces(before, ["train"], returned=True)) == running
    assert scene.traces(before, ["train"], returned=False) == []
    (scene.work / "own.txt").unlink()
    (scene.data / "more.txt").touch()
    elsewhere = [("lost", "work/own.txt"), ("written outside", "data/more.txt")]
    assert sorted(scene.traces(before, ["train"], returned=False)) == elsewhere
    assert not (scene.data / "more.txt").exists()


def test_an_input_is_the_same_whenever_it_is_drawn(known: Known) -> None:
    for kind in (CommandLines, Recipes, RunDirectories):
        first, again = (kind(known).draw(random.Random("1:7")) for _ in range(2))
        assert first == again
        assert first != kind(known).draw(random.Random("1:8"))


def test_every_command_and_option_is_tried(known: Known) -> None:
    drawn = [CommandLines(known).draw(random.Random(f"0:{index}")).parts for index in range(6000)]
    words = {word.partition("=")[0] for parts in drawn for part in parts for word in part}
    assert {*known.commands} <= words
    flags = {parameter.opts[0] for command in known.commands.values() for parameter in command.params}
    assert {flag for flag in flags if flag.startswith("--")} <= words


def test_recipes_of_every_component_are_tried(known: Known) -> None:
    drawn = [Recipes(known).draw(random.Random(f"0:{index}")).parts for index in range(2500)]
    lines = {part[1] for parts in drawn for part in parts if part[0] == "line"}
    for kind in ("relaxer", "energy", "rule"):
        for name in known.names[kind]:
            assert lines & {f"name = '{name}'", f'name = "{name}"'}, (kind, name)
