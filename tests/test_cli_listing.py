"""`eb list-plugins`, `eb describe`, `eb doctor`: everything is shown, above all what is in trouble."""

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from plugin_site import Site
from registered import fitting_relaxers
from typer.testing import Result

Eb = Callable[..., Result]

RULE = '@hookimpl\ndef eb_rules():\n    return [Component("{name}", "{target}", "a [bold] rule")]\n'
EP = "eb_rules.equilibrium_propagation:EquilibriumPropagation"
OWN = ["eb-core", "eb-datasets", "eb-dynamics-hopfield", "eb-models", "eb-rules"]


def statuses(result: Result) -> dict[str, str]:
    """Package -> status, from the one JSON document on stdout."""
    assert result.exit_code == 0
    return {plugin["distribution"]: plugin["status"] for plugin in json.loads(result.stdout)}


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], eb: Eb) -> Callable[..., tuple]:
    """The console script itself, flags about plugins included: exit code, stdout, stderr."""
    from eb_core.cli.main import main as script

    def run(*line: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["eb", *line])
        with pytest.raises(SystemExit) as ended:
            script()
        return ended.value.code, *capsys.readouterr()

    return run


def test_every_plugin_is_listed_and_in_order(eb: Eb) -> None:
    found = statuses(eb("list-plugins", "--json"))
    assert {name: found[name] for name in OWN} == dict.fromkeys(OWN, "ok")


def test_the_table_names_every_component_with_its_kind_and_package(eb: Eb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eb_core.cli.render.out.width", 200)
    lines = [line.split() for line in eb("list-plugins").stdout.splitlines()]
    assert any(line[:2] == ["energy", "cim"] and line[-1] == "eb-dynamics-cim" for line in lines)
    assert any(line[:1] == ["hopfield"] and line[-1] == "eb-dynamics-hopfield" for line in lines)
    assert any(line[:1] == ["p-ep"] and line[-1] == "eb-rules" for line in lines)


def test_the_matrix_says_which_relaxer_fits_which_energy_and_why_not(eb: Eb, site: Site) -> None:
    choosy = '@hookimpl\ndef eb_relaxers():\n    return [Component("{name}", "{target}", "a relaxer")]\n'
    site.install("choosy-one", choosy.format(name="choosy", target="tiny_parts:Choosy"))
    site.install("hollow", choosy.format(name="hollow", target="no_module_here:Nothing"))
    listed = json.loads(eb("list-plugins", "--matrix", "--json").stdout)["relaxers"]
    found = {(one["relaxer"], one["energy"]): one for one in listed}
    assert found["gradient-flow", "hopfield"] == {
        "relaxer": "gradient-flow",
        "energy": "hopfield",
        "reason": None,
        "fits": True,
    }
    assert found["choosy", "hopfield"]["reason"] == "it takes only frozen hydrogen"
    assert "cannot be imported" in found["hollow", "hopfield"]["reason"]
    fits = {pair for pair, one in found.items() if one["fits"]}
    assert {pair for pair in fits if pair[0] not in ("choosy", "hollow")} == set(fitting_relaxers())
    shown = eb("list-plugins", "--matrix").stdout
    number = re.search(r"^choosy +no (\d+)", shown, re.MULTILINE)
    assert number
    assert f"no {number[1]}  it takes only frozen hydrogen" in shown
    assert re.search(r"^gradient-flow .*fits", shown, re.MULTILINE)


def test_a_broken_plugin_stays_in_the_list_with_its_error_and_harms_nobody(eb: Eb, site: Site) -> None:
    site.install("bad", "raise RuntimeError('no [luck] today')")
    found = statuses(eb("list-plugins", "--json"))
    assert found["bad"] == "broken"
    assert {name: found[name] for name in OWN} == dict.fromkeys(OWN, "ok")
    shown = eb("list-plugins")
    assert shown.exit_code == 0
    assert "bad is broken: import of bad_plugin failed: RuntimeError: no [luck] today" in shown.stdout
    assert "plugin 'bad' of bad" in shown.stdout
    assert eb("train", "--dry-run").exit_code == 0


def test_a_strange_entry_point_does_not_garble_the_table(eb: Eb, site: Site) -> None:
    site.declare("odd", "[eb.plugins]\nodd = no_module_here [/bold]\n")
    assert "no_module_here [/bold]" in eb("list-plugins").stdout


def test_a_plugin_that_prints_does_not_spoil_the_json(eb: Eb, site: Site) -> None:
    site.install("loud", "print('I am here')\n" + RULE.format(name="loud", target=EP))
    assert statuses(eb("list-plugins", "--json"))["loud"] == "ok"


def test_json_holds_null_for_what_json_cannot_say(capsys: pytest.CaptureFixture[str]) -> None:
    from eb_core.cli.render import print_json

    print_json({"loss": math.nan, "range": (-math.inf, 1.5), "deep": [{"here": math.inf}], "path": Path("x")})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "loss": None,
        "range": [None, 1.5],
        "deep": [{"here": None}],
        "path": "x",
    }


def test_a_taken_name_is_a_conflict_that_can_be_settled(eb: Eb, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("usurper", RULE.format(name="c-ep", target=EP))
    found = statuses(eb("list-plugins", "--json"))
    assert (found["usurper"], found["eb-rules"], found["eb-models"]) == ("conflict", "conflict", "ok")
    assert "write 'eb-rules:c-ep'" in eb("list-plugins").stdout
    bare = eb("describe", "rule", "c-ep")
    assert (bare.exit_code, bare.stdout) == (3, "")
    assert "'eb-rules:c-ep' or 'usurper:c-ep'" in bare.stderr
    assert "centered" in eb("describe", "rule", "eb-rules:c-ep").stdout
    monkeypatch.setenv("EB_PLUGINS_PREFER", "eb-rules")
    assert eb("describe", "rule", "c-ep").exit_code == 0
    assert statuses(eb("list-plugins", "--json"))["usurper"] == "ok"


def test_a_plugin_denied_in_the_environment_is_disabled(eb: Eb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EB_PLUGINS_DENY", "eb-rules,eb-mod*")
    found = statuses(eb("list-plugins", "--json"))
    assert (found["eb-rules"], found["eb-models"], found["eb-core"]) == ("disabled", "disabled", "ok")
    refused = eb("describe", "rule", "c-ep")
    assert refused.exit_code == 3
    assert "eb-rules, which is disabled: denied by the pattern 'eb-rules'" in refused.stderr


@pytest.mark.parametrize("line", ["{} list-plugins --json", "list-plugins {} --json", "list-plugins --json {}"])
def test_the_flags_about_plugins_are_valid_anywhere_on_the_line(main: Callable[..., tuple], line: str) -> None:
    code, stdout, _ = main(*line.format("--plugins-deny=eb-rules --plugins-allow eb-*").split())
    found = {plugin["distribution"]: plugin["status"] for plugin in json.loads(stdout)}
    assert (code, found["eb-rules"], found["eb-core"]) == (0, "disabled", "ok")


def test_a_flag_about_plugins_without_its_value_is_wrong_usage(main: Callable[..., tuple]) -> None:
    code, stdout, stderr = main("list-plugins", "--plugins-deny")
    assert (code, stdout) == (2, "")
    assert "--plugins-deny" in stderr


def test_a_traceback_is_shown_only_when_asked_for(main: Callable[..., tuple]) -> None:
    for flag, shown in (([], False), (["--traceback"], True)):
        code, stdout, stderr = main("describe", "rule", "nothing", *flag)
        assert (code, stdout) == (2, "")
        assert ("Traceback" in stderr) is shown
        assert "no rule is called 'nothing'" in stderr
    assert os.environ["EB_TRACEBACK"] == "1"


def test_describe_shows_options_with_default_range_unit_and_meaning(eb: Eb) -> None:
    described = json.loads(eb("describe", "relaxer", "gradient-flow", "--json").stdout)
    steps = next(row for row in described["options"] if row["name"] == "steps")
    assert (steps["type"], steps["range"], steps["unit"], steps["required"]) == (
        "a whole number",
        ">= 1",
        "iterations",
        False,
    )
    shown = eb("describe", "relaxer", "gradient-flow").stdout
    assert "eb train --relaxer-opt NAME=VALUE" in shown
    assert "nudged_tol" in shown


def test_describe_shows_the_preset_of_a_name_as_its_default(eb: Eb) -> None:
    described = json.loads(eb("describe", "rule", "p-ep", "--json").stdout)
    assert next(row for row in described["options"] if row["name"] == "variant")["default"] == "positive"


def test_describe_says_which_option_must_be_given(eb: Eb, site: Site) -> None:
    (site.folder / "demanding.py").write_text(
        "from eb_core import Dataset, configurable, option\n@configurable\nclass Demanding(Dataset):\n"
        "    port: int = option(help='where it listens')\n    def load(self, data_dir=None): ...\n"
    )
    (row,) = json.loads(eb("describe", "dataset", "demanding:Demanding", "--json").stdout)["options"]
    assert (row["required"], row["default"]) == (True, None)
    assert "(must be given)" in eb("describe", "dataset", "demanding:Demanding").stdout


def test_describe_knows_the_trainer_and_recipes(eb: Eb) -> None:
    rows = json.loads(eb("describe", "trainer", "--json").stdout)["options"]
    assert {"epochs", "lr", "seed"} <= {row["name"] for row in rows}
    assert 'name = "mlp"' in eb("describe", "recipe", "mlp").stdout


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (["relaxr", "hopfield"], "did you mean 'relaxer'"),
        (["relaxer"], "which relaxer?"),
        (["relaxer", "hopfeild"], "did you mean 'hopfield'"),
        (["recipe", "mpl"], "did you mean 'mlp'"),
    ],
)
def test_describing_what_is_not_there_is_wrong_usage_with_a_suggestion(eb: Eb, line: list[str], what: str) -> None:
    result = eb("describe", *line)
    assert (result.exit_code, result.stdout) == (2, "")
    assert what in result.stderr


def test_the_doctor_finds_nothing_wrong_here(eb: Eb) -> None:
    report = json.loads(eb("doctor", "--json").stdout)
    assert report["faults"] == []
    assert report["checked"] >= len(OWN)
    assert "all is well" in eb("doctor").stderr


def test_the_doctor_names_everything_wrong_with_exit_code_3(eb: Eb, site: Site) -> None:
    site.install("bad", "raise RuntimeError('no luck')")
    recipe = '@hookimpl\ndef eb_recipes():\n    return [Component("gone", "hollow_plugin:gone.toml")]\n'
    site.install("hollow", recipe + RULE.format(name="hollow", target="no_module_here:Rule"))
    for flags in ([], ["--json"]):
        result = eb("doctor", *flags)
        assert result.exit_code == 3
        shown = result.stdout if flags else result.stderr
        for what in ("RuntimeError: no luck", "rule 'hollow' cannot be imported", "recipe 'gone' cannot be read"):
            assert shown.count(what) == 1
    assert len(json.loads(result.stdout)["faults"]) == 3


def test_the_doctor_works_with_every_plugin_denied(eb: Eb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EB_PLUGINS_DENY", "*")
    result = eb("doctor")
    assert result.exit_code == 0
    assert "no plugin is loaded" in result.stderr


def test_doctor_names_a_plugin_that_is_slow_to_load(eb: Eb, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eb_core.cli.doctor.SLOW", 0.1)
    site.install("sleepy", "import time; time.sleep(.2)\n")
    assert "sleepy 1.0: ok, slow: loaded in " in eb("doctor").stdout
    site.forget()
    assert list(json.loads(eb("doctor", "--json").stdout)["slow"]) == ["sleepy_plugin"]
