"""Resolution: settings lie over one another in a known order, and everything wrong about them is found at once."""

from typing import Any

import pytest
from recipe_parts import Everything, Net, Other
from recipe_parts.catalogue import REGISTRY, TOY, flags, plugin, recipe, resolve

from eb_core.registry import Component, Plugin, PluginError, Registry, SettingsLayer, resolve_layers


def test_settings_lie_over_one_another_and_each_knows_its_origin() -> None:
    layers = [
        recipe('[dataset]\nname = "all-b"\nwhole = 7\nword = "first"\n', "first.toml"),
        recipe('[dataset]\nword = "second"\nlimit = 2\n', "second.toml"),
        flags(model={"name": "net"}, dataset={"limit": "3"}),
    ]
    configuration = resolve(*layers, kinds=("model", "dataset"))
    data, origins = configuration["dataset"], configuration.origins()
    assert (data.whole, data.word, data.limit, data.number, data.many) == (7, "second", 3.0, 0.1, (1.0,))
    assert {name: origins["dataset"][name] for name in ("whole", "word", "limit", "number", "many")} == {
        "whole": "first.toml [dataset]",
        "word": "second.toml [dataset]",
        "limit": "--limit",
        "number": "preset 'all-b'",
        "many": "default",
    }
    assert origins["model"]["hidden"] == "recipe 'net' [model]"


def test_a_model_brings_its_default_recipe_unless_a_recipe_names_the_model() -> None:
    assert resolve(flags(model={"name": "net"}), kinds=("dataset",))["dataset"].whole == 5
    named = resolve(recipe('[model]\nname = "net"\n[dataset]\nname = "all"\n'), kinds=("model", "dataset"))
    assert (named["model"].hidden, named["dataset"].whole) == ((1,), 3)


def test_the_default_recipe_of_a_model_is_its_own_packages_even_if_another_takes_its_name() -> None:
    rival = plugin("rival", recipe=[Component("net", "recipe_parts:bad.toml")])
    registry = Registry([rival, TOY])
    assert resolve(flags(model={"name": "net"}), kinds=("dataset",), registry=registry)["dataset"].whole == 5


def test_a_component_that_another_one_replaces_need_not_be_installed() -> None:
    layers = [recipe('[dataset]\nname = "elsewhere"\nwhole = 7\n'), flags(dataset={"name": "all"})]
    assert resolve(*layers)["dataset"] == Everything()
    _, faults = resolve_layers(REGISTRY, layers[:1], ("dataset",))
    assert [fault.what for fault in faults] == ["no dataset is called 'elsewhere'"]


def test_another_component_takes_no_options_of_the_one_it_replaces_and_a_note_says_so() -> None:
    configuration = resolve(
        recipe('[dataset]\nname = "all"\nwhole = 7\nnumber = 9.0\n'), flags(dataset={"name": "other"})
    )
    assert configuration["dataset"] == Other()
    assert configuration.notes == ("dataset 'other' replaces 'all': whole, number no longer apply",)


def test_another_name_for_the_same_class_keeps_the_options_but_not_the_former_preset() -> None:
    configuration = resolve(recipe('[dataset]\nname = "all-b"\nwhole = 7\n'), flags(dataset={"name": "all-c"}))
    assert configuration["dataset"] == Everything(whole=7, choice="b")
    assert configuration.notes == ()


def test_all_faults_of_all_sections_are_found_at_once_with_their_origins() -> None:
    layer = recipe('[dataset]\nname = "all"\nwhole = 1.5\nwrod = "x"\n[trainer]\nepoch = 3\nname = "adam"\nlr = nan\n')
    configuration, faults = resolve_layers(
        REGISTRY, [layer, flags(model={"name": "nett"})], ("model", "dataset", "trainer")
    )
    assert not configuration.sections
    assert [(fault.what.partition(" must")[0], fault.origin) for fault in faults] == [
        ("no model is called 'nett'", "--name"),
        ("dataset 'all' has no option 'wrod'", "a.toml [dataset]"),
        ("option 'whole' of dataset 'all'", "a.toml [dataset]"),
        ("the trainer has no option 'epoch'", "a.toml [trainer]"),
        ("the trainer has no option 'name'", "a.toml [trainer]"),
        ("option 'lr' of the trainer", "a.toml [trainer]"),
    ]
    assert [faults[index].advice for index in (0, 1, 3)] == [
        "did you mean 'net'?",
        "did you mean 'word' or 'words'?",
        "did you mean 'epochs'?",
    ]


def test_plugin_trouble_is_reported_together_with_all_other_faults() -> None:
    layer = recipe('[dataset]\nname = "all"\nwhole = 1.5\n[rule]\nname = "bad:c-ep"\n[trainer]\nlr = 0\n')
    bad = Plugin("bad", "bad", "1", "bad.plugin", "broken")
    with pytest.raises(PluginError) as caught:
        resolve_layers(Registry((*REGISTRY.plugins, bad)), [layer], ("dataset", "rule", "trainer"))
    assert [fault.what.split()[0] for fault in caught.value.faults] == ["option", "rule", "option"]


def test_the_name_of_a_component_must_be_text() -> None:
    _, faults = resolve_layers(REGISTRY, [recipe("[dataset]\nname = 3\n")], ("dataset",))
    assert [fault.what for fault in faults] == ["name of the dataset must be text, not 3"]


@pytest.mark.parametrize("junk", [Everything, Net(), 3])
def test_what_is_no_instance_of_its_kind_is_wrong_usage(junk: Any) -> None:
    _, faults = resolve_layers(REGISTRY, [SettingsLayer(instances={"dataset": junk})], ("dataset",))
    assert "an instance of Dataset" in faults[0].what
    assert (faults[0].advice == "call the class to make an instance") == isinstance(junk, type)
