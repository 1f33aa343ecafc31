"""Suites say which components a run uses by default, and which package brings a name that is missing."""

import pytest
from plugin_site import Site

from eb_core.registry import PluginError, UsageError
from eb_core.registry.resolution import resolve_layers

HOOK = """
@hookimpl
def eb_suites():
    return [Component("{name}", "{name}_files:suite.toml", "a suite")]
"""


def suite(site: Site, name: str, text: str) -> None:
    site.install(name, HOOK.format(name=name))
    package = site.folder / f"{name}_files"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "suite.toml").write_text(text)


def test_the_default_of_a_kind_is_what_a_suite_says(site: Site) -> None:
    suite(site, "house", '[defaults]\nrule = "mine"\n')
    assert site.registry().default("rule") == ("mine", "house:house")
    assert site.registry().default("model") is None


def test_of_two_suites_the_preferred_one_says_it_and_else_the_first(site: Site) -> None:
    suite(site, "aaa", '[defaults]\nrule = "first"\n')
    suite(site, "zzz", '[defaults]\nrule = "last"\nmodel = "only"\n')
    assert site.registry().default("rule") == ("first", "aaa:aaa")
    assert site.registry(prefer=("ZZZ",)).default("rule") == ("last", "zzz:zzz")
    assert site.registry().default("model") == ("only", "zzz:zzz")


def test_a_name_of_a_missing_package_says_what_to_install(site: Site) -> None:
    suite(site, "house", '[brings.their-rules]\nrule = ["c-ep"]\n')
    with pytest.raises(PluginError, match="pip install their-rules"):
        site.registry().find("rule", "c-ep")
    with pytest.raises(UsageError, match="no rule is called 'd-ep'"):
        site.registry().find("rule", "d-ep")


def test_a_name_of_a_package_that_is_out_of_order_says_so(site: Site) -> None:
    suite(site, "house", '[brings.their-rules]\nrule = ["c-ep"]\n')
    site.install("their-rules", "raise ValueError")
    with pytest.raises(PluginError, match="comes from their-rules, which is broken"):
        site.registry().find("rule", "c-ep")


def test_without_a_suite_every_kind_must_be_named(site: Site) -> None:
    _, faults = resolve_layers(site.registry(), [], ["rule", "model"])
    assert [fault.what.partition(",")[0] for fault in faults] == ["no rule is named", "no model is named"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[defaults", "cannot be read"),
        ("[defaults]\nrule = 3", "a name must be text, not 3"),
        ('[defaults]\nruler = "a"', "'ruler' is not known"),
        ("[bring.a]", "'bring' is not known"),
        ("defaults = 3", r"\[defaults\] must be a table"),
        ("[brings]\na = 3", r"\[brings.a\] must be a table"),
        ("[brings.a]\nrule = [3]", "a name must be text"),
    ],
)
def test_a_suite_that_is_not_as_it_should_be_is_named(site: Site, text: str, said: str) -> None:
    suite(site, "house", text)
    with pytest.raises(PluginError, match=said) as caught:
        site.registry().default("rule")
    assert caught.value.faults[0].origin == "house_files:suite.toml"
