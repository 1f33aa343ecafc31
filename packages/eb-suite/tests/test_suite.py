"""The suite brings every built-in plugin, and each of them is well."""

from eb_core import Registry
from eb_core.registry.providers import PROVIDERS
from eb_core.registry.recipes import BUILT_IN


def test_every_built_in_plugin_is_installed_and_well() -> None:
    plugins = {plugin.distribution: plugin.status for plugin in Registry.installed().plugins}
    dynamics = {f"eb-dynamics-{name}" for name in ("cim", "csb", "hopfield", "oim")}
    built_in = {"eb-core", "eb-datasets", "eb-models", "eb-rules"} | dynamics
    assert {name: plugins.get(name) for name in built_in} == dict.fromkeys(built_in, "ok")


def test_the_table_of_providers_names_the_packages_that_really_bring_each_component() -> None:
    registry = Registry.installed()
    brought = {
        (kind, offer.component.name): offer.plugin.distribution
        for kind in ("model", "energy", "relaxer", "rule", "cost", "dataset", "backend", "recipe")
        for offer in registry.offers(kind)
        if offer.plugin.distribution != "eb-core"
    }
    assert {name: brought.get(name) for name in PROVIDERS} == dict(PROVIDERS)


def test_what_a_run_uses_by_default_is_installed() -> None:
    registry = Registry.installed()
    for kind, name in BUILT_IN.items():
        assert registry.find(kind, name).name == name
