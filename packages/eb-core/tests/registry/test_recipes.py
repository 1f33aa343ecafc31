"""Recipes: what is wrong with a file is said with its name; a resolved run is written so that it can be repeated."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe_parts import Everything
from recipe_parts.catalogue import REGISTRY, flags, recipe, resolve

from eb_core.registry import PluginError, SettingsLayer, UsageError, parse_recipe, read_recipe, resolve_layers


@pytest.mark.parametrize(
    ("text", "what", "advice"),
    [
        ("[modle]\nname = 'net'", "unknown section [modle]", "did you mean 'model'?"),
        ("dataset = 'all'", "'dataset' must be a table", "write [dataset]"),
        ("name = 'all'", "unknown section [name]", "known: "),
        ("[dataset", "not valid TOML", "mend the file"),
        ("[dataset]\nwhole = " + "9" * 5000, "not valid TOML", "mend the file"),
    ],
)
def test_a_malformed_recipe_is_wrong_usage_that_names_the_file(text: str, what: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipe(text)
    (fault,) = caught.value.faults
    assert what in fault.what
    assert advice in fault.advice
    assert fault.origin == "a.toml"


def test_all_unknown_sections_are_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        recipe("[modle]\n[datast]\n")
    assert len(caught.value.faults) == 2


def test_a_recipe_is_read_by_name_and_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[dataset]\nwhole = 4\n")
    assert read_recipe(REGISTRY, str(file)).sections["dataset"]["whole"] == (4, f"{file} [dataset]")
    assert read_recipe(REGISTRY, "net").sections["dataset"]["whole"] == (5, "recipe 'net' [dataset]")
    assert read_recipe(REGISTRY, "toy:net").sections["dataset"]["whole"][0] == 5


def test_a_recipe_file_that_cannot_be_read_is_one_short_error(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    (tmp_path / "large.toml").write_text("#" * 1_000_001)
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo.toml")
    names = ["absent", "folder", "latin", "large", "loop", "zero", "fifo", "latin.toml/x", "a" * 5000, "nul\0"]
    for name in [*(str(tmp_path / f"{one}.toml") for one in names), "~nosuch/x.toml"]:
        with pytest.raises(UsageError, match="recipe file cannot be read") as caught:
            read_recipe(REGISTRY, name)
        (fault,) = caught.value.faults
        assert len(str(fault)) < 2500


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"[x{index}]\n" for index in range(50_000)),
        "[trainer]\n" + "".join(f"x{index}=1\n" for index in range(50_000)),
        "[trainer]\n" + "x" * 900_000 + "=1",
        "[trainer]\nlr='" + "x" * 900_000 + "'",
        "[dataset]\nname='" + "x" * 900_000 + "'",
        "[trainer]\nlr=" + "[" * 400_000,
        "[trainer]\nlr=" + "[" * 300 + "]" * 300,
        "[" + ".".join("a" * 300_000) + "]",
        "[trainer]\nepochs=" + "9" * 400,
        "[trainer]\nepochs=0x" + "f" * 6000,
        "[trainer.layer_lr]\n" + "".join(f"x{index}='a'\n" for index in range(50_000)),
    ],
    ids=lambda text: text[:20],
)
def test_a_huge_recipe_is_refused_soon_and_in_few_words(text: str) -> None:
    began = time.perf_counter()
    try:
        _, faults = resolve_layers(REGISTRY, [flags(dataset={"name": "all"}), recipe(text)], ["dataset", "trainer"])
        error = UsageError(*faults)
    except UsageError as refused:
        error = refused
    assert error.faults
    assert len(str(error)) < 8000
    assert time.perf_counter() - began < 5


def test_of_many_problems_the_first_are_shown_and_the_others_counted() -> None:
    with pytest.raises(UsageError, match="… and 12,325 more") as caught:
        recipe("".join(f"[x{index}]\n" for index in range(12_345)))
    assert len(caught.value.faults) == 12_345
    assert len(caught.value.shown) == 21


def test_a_recipe_that_its_package_lacks_is_the_packages_fault() -> None:
    for name in ("gone", "nowhere"):
        with pytest.raises(PluginError, match=f"recipe '{name}' cannot be read"):
            read_recipe(REGISTRY, name)


finite = st.floats(-1e30, 1e30)
words = st.text(st.characters(exclude_categories=["Cs"]))
values = st.fixed_dictionaries(
    {},
    optional={
        "number": finite,
        "whole": st.integers(-(2**63), 2**63 - 1),
        "switch": st.booleans(),
        "word": words,
        "choice": st.sampled_from(["a", "b"]),
        "many": st.lists(finite, max_size=3),
        "words": st.lists(words, max_size=3),
        "table": st.dictionaries(words, finite, max_size=3),
        "limit": st.none() | finite,
    },
)


@given(values, st.sampled_from(["all", "all-b", "toy:all-c", "recipe_parts:Everything"]))
def test_every_value_of_a_resolved_recipe_survives_being_written_and_read(given: dict[str, Any], name: str) -> None:
    layer = SettingsLayer({"dataset": {"name": (name, "")} | {key: (value, "") for key, value in given.items()}})
    first = resolve(layer)
    assert {key: getattr(first["dataset"], key) for key in given} == {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    again = resolve(parse_recipe(first.to_toml(), "written"))
    assert again["dataset"] == first["dataset"]
    assert again["trainer"] == first["trainer"]
    assert again.table() == first.table()
    assert set(again.origins()["dataset"].values()) <= {"written [dataset]", "default"}
    json.dumps(first.table(), allow_nan=False)


def test_an_instance_made_in_python_is_written_under_its_name_and_with_all_options() -> None:
    for instance, name in ((Everything(whole=9), "all"), (Everything(choice="b", number=0.1), "all-b")):
        first = resolve(SettingsLayer(instances={"dataset": instance}))
        assert first.sections["dataset"].name == name
        assert resolve(parse_recipe(first.to_toml(), "written"))["dataset"] == instance
