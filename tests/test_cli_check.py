"""`eb check`: its tables, its JSON, its plot and its exit code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from registered import fitting_relaxers, names
from typer.testing import Result

from eb_core import Registry
from eb_core.cli.check import _jobs

Eb = Callable[..., Result]

KINDS = ("relaxer", "energy", "rule", "cost", "model")


def test_the_tables_name_the_parts_the_figures_and_the_verdict(eb: Eb) -> None:
    result = eb("check", "--relaxer", "hopfield", "--rule", "p-ep", "--plot", "check.svg")
    assert result.exit_code == 0
    for shown in ("hopfield on hopfield", "p-ep with hopfield on hopfield", "EP - BPTT", "all hold", "order"):
        assert shown in result.stdout
    drawn = Path("check.svg").read_text()
    assert "relative error against the exact gradient" in drawn
    assert "truncated BPTT (lines) and EP (circles)" in drawn


def test_json_holds_the_curves_and_says_what_each_part_took(eb: Eb) -> None:
    result = eb("check", "--relaxer", "hopfield-sync", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["broken"]) == (0, 0)
    assert {one["what"] for one in report["findings"]} >= {"residual by autograd", "EP against truncated BPTT"}
    assert [curve["steps"][0] for curve in report["truncated"]] == [0] * 8
    for curve in report["truncated"]:
        assert len(curve["steps"]) == len(curve["ep"]) == len(curve["bptt"]) == len(curve["difference"])
        assert curve["bptt"][-1] < 0.1 * curve["bptt"][0]
    assert list(report["seconds"]) == ["relaxer hopfield-sync on hopfield"]


def test_a_rule_alone_says_how_well_its_nets_are_conditioned_in_json(eb: Eb) -> None:
    report = json.loads(eb("check", "--rule", "cl", "--json").stdout)
    assert {"smallest curvature", "distance to a kink", "cosine"} <= {one["what"] for one in report["findings"]}
    assert report["truncated"] == []


def test_a_pair_that_does_not_fit_is_said_to_be_refused(eb: Eb) -> None:
    result = eb("check", "--relaxer", "tiny_parts:Choosy", "--rule", "c-ep")
    assert result.exit_code == 1
    assert "refused: it takes only frozen hydrogen" in result.stdout


def test_a_plot_that_could_not_be_written_is_refused_before_any_work(eb: Eb) -> None:
    result = eb("check", "--all", "--plot", "check.txt")
    assert result.exit_code == 2
    assert "end it in .svg or .png" in result.stderr


def test_all_covers_every_pair_that_fits_and_every_rule(registry: Registry) -> None:
    jobs = list(_jobs(registry, dict.fromkeys(KINDS), {}, everything=True))
    names_of = [{kind: made.sections[kind].name for kind in ("relaxer", "energy", "rule")} for made, _ in jobs]
    pairs = {
        (one["relaxer"], one["energy"]) for one, (_, parts) in zip(names_of, jobs, strict=True) if "relaxer" in parts
    }
    assert pairs == set(fitting_relaxers())
    assert {one["rule"] for one in names_of} == set(names("rule"))


@pytest.mark.parametrize("energy", [None, "hopfield"])
def test_all_obeys_the_parts_that_are_named(registry: Registry, energy: str | None) -> None:
    asked = {**dict.fromkeys(KINDS), "relaxer": "gradient-flow", "rule": "n-ep", "energy": energy}
    jobs = list(_jobs(registry, asked, {}, everything=True))
    assert all(made.sections["relaxer"].name == "gradient-flow" for made, _ in jobs)
    assert all(made.sections["rule"].name == "n-ep" for made, _ in jobs)
    assert energy is None or [made.sections["energy"].name for made, _ in jobs] == ["hopfield"]


def test_a_cost_with_more_outputs_than_classes_is_refused(eb: Eb) -> None:
    result = eb("check", "--cost-opt", "copies=2")
    assert result.exit_code == 2
    assert "this cost wants 6" in result.stderr
