"""The catalogue: one name means one component, and every way of not getting it has its own message."""

import sys
from typing import Any

import pytest
from plugin_site import Site

from eb_core.registry import Fault, Plugin, PluginError, PluginFilter, Registry, RunError, UsageError
from eb_core.registry.errors import gathered, raise_together

RULE = '@hookimpl\ndef eb_rules():\n    return [Component("{name}", "some.module:{target}", "a rule")]\n'
DATASETS = '@hookimpl\ndef eb_datasets():\n    return [Component("toy-data", "toy_parts:{target}", "a data set")]\n'
PARTS = """
import sys
from eb_core import Dataset, configurable, option
print("toy_parts is imported")

@configurable
class Good(Dataset):
    size: int = option(default=3, help="samples")
    def load(self, data_dir=None): ...

@configurable
class Unfinished(Dataset):
    size: int = option(default=3, help="samples")

class Undecorated(Good):
    shape: int = option(default=3, help="never seen by attrs")

@configurable
class Unreadable(Good):
    shape: "Tensr" = option(default=3, help="of a type that nobody knows")

@configurable
class NameTaker(Good):
    name: str = option(default="x", help="hides the name of the component")

class NoDataset: ...

a_value = 3
"""


def rule(name: str, target: str) -> str:
    return RULE.format(name=name, target=target)


def test_a_bare_name_finds_the_one_component_of_that_name(site: Site) -> None:
    site.install("toy", rule("toy-rule", "Toy"))
    assert site.registry().find("rule", "toy-rule").target == "some.module:Toy"


@pytest.mark.parametrize("name", ["my-toy:toy-rule", "My_Toy:toy-rule", "my.toy:toy-rule"])
def test_a_name_with_its_package_finds_it_however_the_package_is_spelt(site: Site, name: str) -> None:
    site.install("my-toy", rule("toy-rule", "Toy"))
    assert site.registry().find("rule", name).target == "some.module:Toy"


def test_an_unknown_name_is_wrong_usage_with_a_suggestion_and_its_origin(site: Site) -> None:
    site.install("toy", rule("toy-rule", "Toy"))
    with pytest.raises(UsageError, match="no rule is called 'toy-ruel'") as caught:
        site.registry().find("rule", "toy-ruel", "--rule toy-ruel")
    (fault,) = caught.value.faults
    assert fault.origin == "--rule toy-ruel"
    assert fault.advice == "did you mean 'toy-rule'?"


def test_a_misspelt_name_with_its_package_gets_a_suggestion_too(site: Site) -> None:
    site.install("toy", rule("toy-rule", "Toy"))
    with pytest.raises(UsageError, match="did you mean 'toy:toy-rule'"):
        site.registry().find("rule", "toy:toy-ruel")


def test_a_taken_name_is_a_conflict_and_the_bare_name_an_error(site: Site) -> None:
    site.install("first", rule("shared", "First"))
    site.install("second", rule("shared", "Second") + DATASETS.format(target="Good"))
    registry = site.registry()
    assert {plugin.distribution: plugin.status for plugin in registry.plugins} == dict.fromkeys(
        ["first", "second"], "conflict"
    )
    assert all(len(plugin.faults) == 1 for plugin in registry.plugins)
    with pytest.raises(PluginError, match="offered by 2 plugins") as caught:
        registry.find("rule", "shared")
    assert "'first:shared' or 'second:shared'" in caught.value.faults[0].advice
    assert "EB_PLUGINS_PREFER" in caught.value.faults[0].advice
    assert registry.find("rule", "second:shared").target == "some.module:Second"
    assert registry.find("dataset", "toy-data").target == "toy_parts:Good"


def test_a_preferred_package_settles_a_conflict(site: Site) -> None:
    site.install("first", rule("shared", "First"))
    site.install("my-second", rule("shared", "Second"))
    registry = site.registry(prefer=("absent", "My_Second"))
    assert [plugin.status for plugin in registry.plugins] == ["ok", "ok"]
    assert registry.find("rule", "shared").target == "some.module:Second"
    assert registry.find("rule", "first:shared").target == "some.module:First"


def test_the_preference_comes_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("first", rule("shared", "First"))
    site.install("second", rule("shared", "Second"))
    monkeypatch.setenv("EB_PLUGINS_PREFER", " second , first")
    registry = Registry.installed(PluginFilter(allow=("first", "second")), site.points())
    assert registry.find("rule", "shared").target == "some.module:Second"


def test_a_denied_rival_causes_no_conflict(site: Site) -> None:
    site.install("first", rule("shared", "First"))
    site.install("second", rule("shared", "Second"))
    registry = Registry.installed(PluginFilter(deny=("first",)), site.points())
    assert registry.find("rule", "shared").target == "some.module:Second"


def test_a_package_that_offers_a_name_in_two_plugins_conflicts_with_itself(site: Site) -> None:
    one = site.install("twins", rule("shared", "First"))
    (site.folder / "other_plugin.py").write_text((site.folder / f"{one}.py").read_text().replace("First", "Second"))
    info = site.folder / "twins-1.0.dist-info" / "entry_points.txt"
    info.write_text(f"[eb.plugins]\ntwins = {one}\nother = other_plugin\n")
    registry = site.registry(prefer=("twins",))
    assert [plugin.status for plugin in registry.plugins] == ["conflict", "conflict"]
    for name in ("shared", "twins:shared"):
        with pytest.raises(PluginError, match="report it to its authors"):
            registry.find("rule", name)


def test_broken_disabled_and_incompatible_are_three_messages() -> None:
    def found(status: Any) -> tuple[Plugin, ...]:
        fault = Fault(f"the reason is {status}")
        return (Plugin("eb-rules", "eb-rules", "1", "eb_rules.plugin", status, {}, (fault,)),)

    for status in ("broken", "disabled", "incompatible"):
        with pytest.raises(PluginError, match=f"which is {status}: the reason is {status}") as caught:
            Registry(found(status)).find("rule", "eb-rules:c-ep")
        assert "eb doctor" in caught.value.faults[0].advice


def test_an_unknown_name_mentions_the_plugins_that_could_have_brought_it(site: Site) -> None:
    site.install("bad", "raise ValueError")
    site.install("toy", rule("toy-rule", "Toy"))
    with pytest.raises(UsageError, match="bad is broken: see 'eb doctor'"):
        site.registry().find("rule", "mystery")


def test_finding_imports_no_target_and_loading_imports_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (site.folder / "toy_parts.py").write_text(PARTS)
    site.install("toy", DATASETS.format(target="Good"))
    registry = site.registry()
    component = registry.find("dataset", "toy-data")
    assert "toy_parts" not in sys.modules
    assert registry.load("dataset", component)().size == 3
    assert "toy_parts" in sys.modules
    assert capsys.readouterr() == ("", "toy_parts is imported\n")


def test_a_class_of_ones_own_needs_no_plugin(site: Site) -> None:
    (site.folder / "toy_parts.py").write_text(PARTS)
    registry = site.registry()
    assert registry.load("dataset", registry.find("dataset", "toy_parts:Good"))(size=4).size == 4


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("Missing", "has no attribute 'Missing'"),
        ("NoDataset", "is not a subclass of Dataset"),
        ("a_value", "is not a subclass of Dataset"),
        ("Unfinished", "it lacks load"),
        ("Undecorated", "not decorated with @configurable"),
        ("Unreadable", "NameError"),
        ("NameTaker", "must not be called 'name'"),
    ],
)
def test_a_target_that_is_no_usable_class_is_the_plugins_fault(site: Site, target: str, what: str) -> None:
    (site.folder / "toy_parts.py").write_text(PARTS)
    site.install("toy", DATASETS.format(target=target))
    registry = site.registry()
    with pytest.raises(PluginError, match=what) as caught:
        registry.load("dataset", registry.find("dataset", "toy-data"))
    assert target in caught.value.faults[0].origin


@pytest.mark.parametrize("source", ["raise SystemExit(0)", "import not_here_at_all", "1 / 0"])
def test_a_target_that_fails_at_import_is_the_plugins_fault(site: Site, source: str) -> None:
    (site.folder / "toy_parts.py").write_text(source)
    site.install("toy", DATASETS.format(target="Good"))
    registry = site.registry()
    with pytest.raises(PluginError, match="cannot be imported"):
        registry.load("dataset", registry.find("dataset", "toy-data"))


@pytest.mark.parametrize("name", ["not installed:x", "eb-absent:Thing", "a b", "module:", ":Class", ""])
def test_a_name_that_means_nothing_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match="no dataset is called"):
        Registry(()).find("dataset", name)


def test_errors_survive_pickling_with_all_their_faults() -> None:
    import pickle

    error = UsageError(Fault("one", "here", "do this"), Fault("two"))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.faults, str(again)) == (UsageError, error.faults, str(error))


def test_errors_gathered_on_the_way_are_raised_together_as_the_gravest_kind() -> None:
    errors: list[Any] = []
    raise_together(errors)
    for error in (UsageError("one"), PluginError("two"), UsageError("three", "four")):
        with gathered(errors):
            raise error
    with pytest.raises(PluginError) as caught:
        raise_together(errors)
    assert [fault.what for fault in caught.value.faults] == ["one", "two", "three", "four"]
    with pytest.raises(RunError), gathered(errors):
        raise RunError("not gathered")
