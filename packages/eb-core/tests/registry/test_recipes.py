"""Recipes: what is wrong with a file is said with its name; a resolved run is written so that it can be repeated."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe_parts import Everything
from recipe_parts.catalogue import REGISTRY, recipe, resolve

from eb_core.registry import Layer, PluginError, UsageError, parse_recipe, read_recipe


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


def test_a_recipe_file_that_cannot_be_read_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    for name in ("absent.toml", "folder.toml", "latin.toml"):
        with pytest.raises(UsageError, match="recipe file cannot be read"):
            read_recipe(REGISTRY, str(tmp_path / name))


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
    layer = Layer({"dataset": {"name": (name, "")} | {key: (value, "") for key, value in given.items()}})
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
        first = resolve(Layer(instances={"dataset": instance}))
        assert first.sections["dataset"].name == name
        assert resolve(parse_recipe(first.to_toml(), "written"))["dataset"] == instance
