"""An option that is accepted and does nothing with the others is said to, on every face; the others stay silent."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from registered import REGISTRY, names
from tiny_parts import Tiny
from typer.testing import Result

import eb_core as eb
from eb_core import TrainerSettings, configurable, option
from eb_core.registry import KINDS, fields
from eb_core.registry.options import default_of

Eb = Callable[..., Result]


def notes(eb_command: Eb, *flags: str) -> list[str]:
    said: list[str] = json.loads(eb_command("train", "--dry-run", "--json", *flags).stdout)["notes"]
    return [note for note in said if "nothing with" in note]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--trainer-opt", "momentum=0.9"], "momentum = 0.9 does nothing with optimizer = adam"),
        (["--trainer-opt", "lr_decay=.5"], "lr_decay = 0.5 does nothing with schedule = "),
        (["--trainer-opt", "schedule=exponential", "--trainer-opt", "lr_min=.1"], "lr_min = 0.1 does nothing with"),
        (["--backend-opt", "polish=9"], "polish = 9 of the backend does nothing with precision = full"),
        (["--dataset", "mnist", "--dataset-opt", "source=a"], "source = a of the dataset does nothing with download"),
        (
            ["--relaxer", "csb", "--relaxer-opt", "update=parallel", "--relaxer-opt", "order=forward"],
            "order = forward of the relaxer does nothing with update = parallel",
        ),
        (["--recipe", "oim", "--relaxer", "oim", "--relaxer-opt", "noise_scale=rate"], "nothing with noise = 0"),
        (
            ["--relaxer-opt", "tol=0", "--relaxer-opt", "check_every=7"],
            "check_every = 7 of the relaxer does nothing with tol = 0.0 and nudged_tol = none",
        ),
        (["--rule", "bp", "--relaxer-opt", "steps=7"], "does nothing with rule = bp, which settles nothing"),
        (["--rule", "bp", "--backend-opt", "precision=bfloat16"], "precision = bfloat16 of the backend does nothing"),
        (["--rule", "tbp", "--relaxer-opt", "nudged_steps=7"], "which settles no nudged and no clamped phase"),
        (["--rule", "cl", "--relaxer-opt", "nudge=iterated"], "which settles no nudged phase"),
    ],
)
def test_what_does_nothing_is_said(eb: Eb, flags: list[str], said: str) -> None:
    (note,) = notes(eb, *flags)
    assert said in note


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--trainer-opt", "momentum=0"],
        ["--trainer-opt", "momentum=.9", "--trainer-opt", "optimizer=sgd"],
        ["--trainer-opt", "schedule=cosine", "--trainer-opt", "lr_min=.1"],
        ["--relaxer-opt", "tol=0", "--relaxer-opt", "nudged_tol=1e-4", "--relaxer-opt", "check_every=7"],
        ["--trainer-opt", "validation=0", "--trainer-opt", "select=last"],  # it is what happens
        ["--rule", "bp"],
        ["--rule", "tbp", "--relaxer-opt", "steps=7"],
        ["--rule", "cl", "--relaxer-opt", "nudged_steps=7"],
        ["--backend-opt", "precision=bfloat16", "--backend-opt", "polish=9"],
    ],
)
def test_what_acts_or_was_not_asked_for_is_not(eb: Eb, flags: list[str]) -> None:
    assert notes(eb, *flags) == []


@pytest.mark.parametrize("recipe", names("recipe"))
def test_no_recipe_of_the_suite_asks_for_what_does_nothing(eb: Eb, recipe: str) -> None:
    assert notes(eb, "--recipe", recipe) == []


def test_python_is_told_by_a_warning(tmp_path: Path) -> None:
    with pytest.warns(eb.Notice) as caught:
        eb.train({"name": "mlp", "hidden": [4]}, dataset=Tiny(), epochs=1, momentum=0.9, predictions=True)
    assert {str(one.message) for one in caught} == {
        "momentum = 0.9 does nothing with optimizer = adam",
        "predictions = True does nothing without out",
    }
    assert all(one.filename == __file__ for one in caught), "a warning points at the line that called eb.train"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        eb.train({"name": "mlp", "hidden": [4]}, dataset=Tiny(), epochs=1, optimizer="sgd", momentum=0.9)


def test_describe_shows_the_condition(eb: Eb) -> None:
    options = {one["name"]: one for one in json.loads(eb("describe", "trainer", "--json").stdout)["options"]}
    assert options["momentum"]["only_with"] == "only with optimizer = sgd"
    assert options["lr"]["only_with"] == ""


def classes() -> list[Any]:
    loaded = [REGISTRY.load(offer.kind, offer.component) for kind in KINDS for offer in REGISTRY.offers(kind)]
    return list(dict.fromkeys([*loaded, TrainerSettings]))


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: cls.__name__)
def test_a_condition_names_options_that_there_are(cls: type) -> None:
    own = {field.name: default_of(field) for field, _ in fields(cls)}
    for _, spec in fields(cls):
        for way in spec.only_with:
            assert set(way) <= set(own)


def test_an_option_that_is_declared_anew_keeps_its_condition_unless_it_gives_another() -> None:
    @configurable
    class Above:
        noise: float = option(default=0.0, help="noise")
        scale: int = option(default=1, help="of the noise", only_with={"noise": True}, phases=("nudged",))

    @configurable
    class Below(Above):
        scale: int = option(default=2, help="of the noise")

    @configurable
    class Other(Above):
        scale: int = option(default=3, help="of the noise", phases=("free",))

    assert [(spec.only_with, spec.phases) for field, spec in fields(Below) if field.name == "scale"] == [
        (({"noise": True},), ("nudged",))
    ]
    assert [(spec.only_with, spec.phases) for field, spec in fields(Other) if field.name == "scale"] == [
        ((), ("free",))
    ]


def test_what_only_the_default_recipe_of_the_model_said_is_lost_without_a_word(eb: Eb) -> None:
    assert "note:" not in eb("train", "--rule", "cl", "--dry-run").stdout
