"""The suite brings every built-in plugin, and each of them is well."""

import pytest

from eb_core import Registry
from eb_core.registry import KINDS, PluginError


def test_every_built_in_plugin_is_installed_and_well() -> None:
    plugins = {plugin.distribution: plugin.status for plugin in Registry.installed().plugins}
    dynamics = {f"eb-dynamics-{name}" for name in ("cim", "csb", "hopfield", "oim")}
    built_in = {"eb-backend-emulator", "eb-core", "eb-datasets", "eb-models", "eb-rules", "eb-suite"} | dynamics
    assert {name: plugins.get(name) for name in built_in} == dict.fromkeys(built_in, "ok")


def test_the_suite_names_the_packages_that_really_bring_each_component() -> None:
    registry = Registry.installed()
    brought = {
        (kind, offer.component.name): offer.plugin.distribution
        for kind in (*KINDS, "recipe")
        for offer in registry.offers(kind)
        if offer.plugin.distribution != "eb-core"
    }
    said = registry.suites["eb-suite:eb-suite"].brings
    assert {name: brought.get(name) for name in said} == dict(said)


def test_what_a_run_uses_by_default_is_installed() -> None:
    registry = Registry.installed()
    for kind in KINDS:
        default = registry.default(kind)
        assert default is not None, kind
        assert registry.find(kind, default[0]).name == default[0]


def test_a_name_of_the_suite_whose_package_is_gone_says_what_to_install() -> None:
    there = [plugin for plugin in Registry.installed().plugins if plugin.distribution != "eb-rules"]
    with pytest.raises(PluginError, match="pip install eb-rules"):
        Registry(there).find("rule", "c-ep")
