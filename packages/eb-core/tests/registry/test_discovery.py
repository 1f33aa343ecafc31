"""Discovery: a plugin in trouble stays in the list, says what is wrong, and harms nobody else."""

import sys
from importlib.metadata import EntryPoint

import pytest
from plugin_site import HEADER, Site

from eb_core.registry import HOOKS, PLUGIN_API, Plugin, PluginFilter, Registry, discover

GOOD = '@hookimpl\ndef eb_rules():\n    return [Component("good", "some.module:Good", "works")]\n'


def names(plugin: Plugin, kind: str = "rule") -> list[str]:
    return [component.name for component in plugin.components.get(kind, ())]


def the_fault(plugin: Plugin) -> str:
    assert len(plugin.faults) == 1, plugin.faults
    return str(plugin.faults[0])


def test_a_plugin_in_order_is_listed_with_package_version_and_components(site: Site) -> None:
    module = site.install("toy", GOOD, version="2.3")
    plugin = site.plugins()["toy"]
    assert (plugin.name, plugin.version, plugin.module, plugin.status) == ("toy", "2.3", module, "ok")
    assert names(plugin) == ["good"]
    assert plugin.faults == ()


def test_what_is_installed_is_found_through_its_entry_point(site: Site) -> None:
    site.install("toy", GOOD)
    assert Registry.installed(PluginFilter()).find("rule", "good").target == "some.module:Good"


@pytest.mark.parametrize(
    ("source", "what", "advice"),
    [
        ("raise ValueError('bad\\nluck')", "ValueError: bad luck", "authors"),
        ("def broken(:", "SyntaxError", "authors"),
        ("import sys; sys.exit(0)", "SystemExit: 0", "authors"),
        ("import a_dependency_that_is_not_here", "No module named", "'a_dependency_that_is_not_here'"),
        ("raise BaseException('worst')", "BaseException: worst", "authors"),
    ],
)
def test_a_plugin_that_fails_at_import_is_broken_and_the_others_work(
    site: Site, source: str, what: str, advice: str
) -> None:
    site.install("bad", source)
    site.install("toy", GOOD)
    plugins = site.plugins()
    assert plugins["bad"].status == "broken"
    assert what in the_fault(plugins["bad"])
    assert advice in plugins["bad"].faults[0].advice
    assert (plugins["toy"].status, names(plugins["toy"])) == ("ok", ["good"])


def test_ctrl_c_during_an_import_is_not_swallowed(site: Site) -> None:
    site.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.plugins()


def test_a_plugin_whose_module_does_not_exist_is_broken(site: Site) -> None:
    site.declare("ghost", "[eb.plugins]\nghost = no_such_module_here\n")
    plugin = site.plugins()["ghost"]
    assert plugin.status == "broken"
    assert "no_such_module_here" in the_fault(plugin)


def test_an_entry_point_without_package_is_named_after_its_module() -> None:
    (plugin,) = discover(PluginFilter(), [EntryPoint("loose", "no_such_module_here.plugin", "eb.plugins")])
    assert (plugin.distribution, plugin.version, plugin.status) == ("no_such_module_here", "?", "broken")


def test_unreadable_metadata_of_one_package_hides_no_other(site: Site) -> None:
    site.declare("garbled", "[eb.plugins]\nthis line is no entry point\n")
    site.install("toy", GOOD)
    plugins = {plugin.distribution: plugin for plugin in discover(PluginFilter())}
    assert plugins["toy"].status == "ok"
    assert plugins["eb-core"].status == "ok"
    assert plugins["garbled"].status == "broken"
    assert "cannot be read" in the_fault(plugins["garbled"])


OURS = b"[eb.plugins]\nodd = odd_plugin\n"
NAMED = b"Metadata-Version: 2.1\nName: odd\nVersion: 1\n"


@pytest.mark.parametrize(
    ("metadata", "entry_points", "distribution", "status"),
    [
        (b"Metadata-Version: 2.1\nName: caf\xe9\nVersion: 1\n", OURS, "odd_plugin", "ok"),
        (b"Metadata-Version: 2.1\nVersion: 1\n", OURS, "odd_plugin", "ok"),
        (b"Metadata-Version: 2.1\nName: odd\n", OURS, "odd", "ok"),
        (b"", OURS, "odd_plugin", "ok"),
        (None, OURS, "odd_plugin", "ok"),
        (NAMED, OURS.replace(b"odd =", b"\xe9 ="), "odd", "broken"),
        (b"Name: caf\xe9\n", OURS.replace(b"odd =", b"\xe9 ="), "?", "broken"),
        (NAMED, b"[eb.plugins]\nno entry point\n", "odd", "broken"),
        (NAMED, b"[eb.plugins]\nodd = 3 -- 4\n", "odd", "broken"),
        (NAMED, b"[eb.plugins]\nodd = \n", "odd", "broken"),
        (NAMED, b"[eb.plugins]\nodd = odd_plugin:nothing.here\n", "odd", "broken"),
        (NAMED, b"[eb.plugins]\nodd = ..odd_plugin\n", "odd", "broken"),
        (NAMED, b"[console_scripts]\n\xe9 = odd_plugin\n", "odd", None),
        (NAMED, b"\xff\xfe", "odd", None),
    ],
)
def test_odd_metadata_of_one_package_end_nothing(
    site: Site, metadata: bytes | None, entry_points: bytes, distribution: str, status: str | None
) -> None:
    site.install("toy", GOOD)
    info = site.folder / "odd-1.dist-info"
    info.mkdir()
    (site.folder / "odd_plugin.py").write_text(f"{HEADER}{GOOD.replace('good', 'odd')}")
    if metadata is not None:
        (info / "METADATA").write_bytes(metadata)
    (info / "entry_points.txt").write_bytes(entry_points)
    plugins = {plugin.distribution: plugin for plugin in discover(PluginFilter())}
    assert (plugins["toy"].status, plugins["eb-core"].status) == ("ok", "ok")
    assert (plugins[distribution].status if status else plugins.get(distribution)) == status
    if status == "broken":
        assert len(the_fault(plugins[distribution])) < 500


def test_a_hook_that_raises_leaves_the_other_hooks_of_its_plugin_working(site: Site) -> None:
    site.install("half", GOOD + "@hookimpl\ndef eb_costs():\n    raise RuntimeError('no costs today')\n")
    plugin = site.plugins()["half"]
    assert plugin.status == "broken"
    assert "hook eb_costs failed: RuntimeError: no costs today" in the_fault(plugin)
    assert names(plugin) == ["good"]


def test_a_hook_that_exits_or_asks_for_arguments_leaves_the_others_working(site: Site) -> None:
    source = "@hookimpl\ndef eb_backends(chip):\n    return []\n@hookimpl\ndef eb_costs():\n    raise SystemExit(0)\n"
    site.install("half", source + GOOD)
    plugin = site.plugins()["half"]
    assert plugin.status == "broken"
    assert [fault.what.partition(" failed")[0] for fault in plugin.faults] == ["hook eb_backends", "hook eb_costs"]
    assert names(plugin) == ["good"]


def test_a_misspelt_hook_gets_a_suggestion_and_the_others_work(site: Site) -> None:
    site.install("typo", GOOD + "@hookimpl\ndef eb_relaxer():\n    return []\n")
    plugin = site.plugins()["typo"]
    assert plugin.status == "broken"
    assert "no hook called 'eb_relaxer'" in the_fault(plugin)
    assert plugin.faults[0].advice.startswith("did you mean 'eb_relaxers'")
    assert names(plugin) == ["good"]


def test_a_hook_without_its_marker_is_not_passed_over_in_silence(site: Site) -> None:
    site.install("bare", "def eb_rules():\n    return []\n")
    plugin = site.plugins()["bare"]
    assert plugin.status == "broken"
    assert "@hookimpl" in the_fault(plugin)


def test_a_hook_may_have_another_name_if_it_says_which_one_it_is(site: Site) -> None:
    more = '@hookimpl(specname="eb_rules")\ndef more():\n    return [Component("more", "some.module:More")]\n'
    site.install("toy", GOOD + more)
    plugin = site.plugins()["toy"]
    assert plugin.status == "ok"
    assert names(plugin) == ["good", "more"]


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        ("None", "it returned NoneType"),
        ("42", "it returned int"),
        ("'good'", "it returned str"),
        ("(one for one in [])", "it returned generator"),
        ("{'good': 'some.module:Good'}", "it returned dict"),
        ("['good']", "'good' is not a Component"),
        ("[Component]", "is not a Component"),
        ("[Component(7, 'some.module:Good')]", "name of 7 must be a string"),
        ("[Component('Not A Name', 'some.module:Good')]", "lower-case words joined by hyphens"),
        ("[Component('x', 'no colon')]", "must look like 'package.module:Class'"),
        ("[Component('x', lambda: 1)]", "target of 'x' must be a string"),
        ("[Component('x', 'm:C', None)]", "summary of 'x' must be a string"),
        ("[Component('x', 'm:C', '', ['variant'])]", "preset of 'x' must map names"),
        ("[Component('x', 'm:C', '', {1: 2})]", "preset of 'x' must map names"),
        ("[Component('x', 'm:C', recipe=3)]", "recipe of 'x' must be the name of a recipe"),
        ("[Component('x', 'm:C'), Component('x', 'm:D')]", "offers 'x' twice"),
        ("[Unprintable()]", "<Unprintable instance at"),
    ],
)
def test_junk_from_a_hook_is_a_fault_and_the_other_hooks_work(site: Site, returned: str, what: str) -> None:
    unprintable = "class Unprintable:\n    def __repr__(self):\n        1 / 0\n"
    site.install("junk", f"{unprintable}{GOOD}@hookimpl\ndef eb_costs():\n    return {returned}\n")
    plugin = site.plugins()["junk"]
    assert plugin.status == "broken"
    assert what in the_fault(plugin)
    assert names(plugin) == ["good"]


def test_one_bad_record_does_not_take_the_good_ones_with_it(site: Site) -> None:
    site.install("mixed", "@hookimpl\ndef eb_costs():\n    return [3, Component('fine', 'm:C')]\n")
    plugin = site.plugins()["mixed"]
    assert plugin.status == "broken"
    assert names(plugin, "cost") == ["fine"]


MAJOR, MINOR = (int(part) for part in PLUGIN_API.split("."))


@pytest.mark.parametrize(
    ("declared", "what", "advice"),
    [
        (f'EB_PLUGIN_API = "{MAJOR}.{MINOR + 1}"', "it targets plugin API", "upgrade eb-core"),
        (f'EB_PLUGIN_API = "{MAJOR + 1}.0"', "it targets plugin API", "upgrade eb-core"),
        (f'EB_PLUGIN_API = "{MAJOR - 1}.9"', "it targets plugin API", "upgrade the plugin"),
        ("", "does not say which plugin API", "add the line EB_PLUGIN_API"),
        ('EB_PLUGIN_API = "newest"', "is not 'major.minor'", "write"),
        ("EB_PLUGIN_API = 1", "is not 'major.minor'", "write"),
    ],
)
def test_a_plugin_for_another_plugin_api_is_incompatible(site: Site, declared: str, what: str, advice: str) -> None:
    site.install("old", GOOD, header=f"from eb_core.registry import Component, hookimpl\n{declared}\n")
    plugin = site.plugins()["old"]
    assert plugin.status == "incompatible"
    assert what in the_fault(plugin)
    assert advice in plugin.faults[0].advice
    assert plugin.components == {}


def test_a_plugin_for_an_earlier_minor_version_of_the_api_works(site: Site) -> None:
    assert MINOR > 0, "write this test with an earlier minor version"
    site.install("older", GOOD, header=f'from eb_core.registry import *\nEB_PLUGIN_API = "{MAJOR}.{MINOR - 1}"\n')
    assert site.plugins()["older"].status == "ok"


def test_a_module_that_raises_when_asked_for_its_api_is_broken(site: Site) -> None:
    site.install("lazy", "def __getattr__(name):\n    raise ImportError('torch is too old')\n", header="")
    plugin = site.plugins()["lazy"]
    assert plugin.status == "broken"
    assert "torch is too old" in the_fault(plugin)


@pytest.mark.parametrize("pattern", ["toy-rules", "toy-*", "toy_rules", "Toy.Rules", "*"])
def test_a_denied_plugin_is_disabled_and_never_imported(site: Site, pattern: str) -> None:
    module = site.install("toy-rules", GOOD)
    plugin = site.plugins(PluginFilter(deny=(pattern,)))["toy-rules"]
    assert plugin.status == "disabled"
    assert f"'{pattern}'" in the_fault(plugin)
    assert "EB_PLUGINS_DENY" in the_fault(plugin)
    assert module not in sys.modules


def test_a_plugin_outside_the_allow_list_is_disabled_and_never_imported(site: Site) -> None:
    module, allowed = site.install("toy", GOOD), site.install("other", GOOD)
    plugins = site.plugins(PluginFilter(allow=("other",)))
    assert plugins["toy"].status == "disabled"
    assert "EB_PLUGINS_ALLOW" in the_fault(plugins["toy"])
    assert "'toy'" in plugins["toy"].faults[0].advice
    assert plugins["other"].status == "ok"
    assert module not in sys.modules
    assert allowed in sys.modules


def test_denying_goes_before_allowing(site: Site) -> None:
    module = site.install("toy", GOOD)
    assert site.plugins(PluginFilter(allow=("toy",), deny=("toy",)))["toy"].status == "disabled"
    assert module not in sys.modules


def test_the_environment_gives_the_lists_and_unset_means_everything() -> None:
    read = PluginFilter.from_environment
    assert read({}) == PluginFilter(("*",), ())
    assert read({"EB_PLUGINS_ALLOW": "a, b-*", "EB_PLUGINS_DENY": " c ,"}) == PluginFilter(("a", "b-*"), ("c",))
    assert read({"EB_PLUGINS_ALLOW": "", "EB_PLUGINS_DENY": ""}) == PluginFilter(("*",), ())


def test_what_a_plugin_prints_does_not_reach_stdout(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.install("loud", "print('hello')\n@hookimpl\ndef eb_rules():\n    print('again')\n    return []\n")
    assert site.plugins()["loud"].status == "ok"
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "hello\nagain\n"


def test_plugins_come_in_order_of_package_and_every_hook_is_known_to_pluggy(site: Site) -> None:
    from eb_core.registry import hookspecs

    site.install("zebra", GOOD)
    site.install("ant", GOOD)
    assert list(site.plugins()) == ["ant", "zebra"]
    assert set(HOOKS) == {name for name, hook in vars(hookspecs).items() if hasattr(hook, "eb_spec")}
