"""One kit behind three doors: a test for each promise, a report, and `eb check KIND:NAME`; no built-in is exempt."""

import json
import unittest
from collections.abc import Callable

import pytest
from registered import make
from typer.testing import Result

from eb_core.testing import (
    Check,
    ConformanceError,
    cost_suite,
    dataset_suite,
    energy_suite,
    model_suite,
    relaxer_suite,
    report_on,
)
from eb_core.testing.kit import check_of, run_suite
from eb_core.testing.report import SkippedError
from eb_core.testing.verdict import require


def skips() -> None:
    raise SkippedError("it has no such thing")


def fails() -> None:
    require(True, "one and one is two", "here")
    require(False, "one and one is three", "there")


def crashes() -> None:
    raise ZeroDivisionError("by nothing")


def holds() -> None:
    require(True, "one and one is two", "here")


@pytest.mark.parametrize(
    ("look", "verdict", "cases", "text"),
    [
        (holds, "passed", 1, ""),
        (skips, "skipped", 0, "it has no such thing"),
        (fails, "failed", 2, "one and one is three  [there]"),
        (crashes, "failed", 0, "ZeroDivisionError: by nothing"),
        (lambda: None, "failed", 0, "it looked at nothing"),
    ],
)
def test_a_check_says_what_it_found(look: Callable[[], None], verdict: str, cases: int, text: str) -> None:
    found = check_of("sums", "sums are right", look).run()
    assert (found.verdict, found.cases) == (verdict, cases)
    assert text in found.text


def test_a_check_is_a_test_that_passes_fails_or_is_skipped() -> None:
    check_of("sums", "sums are right", holds)()
    with pytest.raises(ConformanceError, match=r"sums are right: .*one and one is three"):
        check_of("sums", "sums are right", fails)()
    with pytest.raises(unittest.SkipTest, match="no such thing"):
        check_of("sums", "sums are right", skips)()


def test_where_a_first_check_fails_there_is_nothing_more_to_look_at() -> None:
    suite = [check_of("first", "it is there", fails, is_first=True), check_of("sums", "sums are right", holds)]
    assert [one.verdict for one in run_suite(suite)] == ["failed", "skipped"]
    report = report_on("model", "a thing", suite)
    assert not report.holds
    assert json.loads(json.dumps(report.record()))["failed"] == 1


def test_a_report_in_which_nothing_passed_does_not_hold() -> None:
    assert not report_on("model", "a thing", [check_of("sums", "sums are right", skips)]).holds


SUITES = {
    "relaxer": lambda name: relaxer_suite(make("relaxer", name, steps=9, nudged_steps=9)),
    "energy": lambda name: energy_suite(make("energy", name)),
    "model": lambda name: model_suite(make("model", name)),
    "cost": lambda name: cost_suite(make("cost", name)),
    "dataset": lambda name: dataset_suite(make("dataset", name)),
}
SOUND = [
    ("relaxer", "gradient-flow"),
    ("energy", "cim"),
    ("model", "mlp"),
    ("cost", "cross-entropy"),
    ("dataset", "digits"),
]
CHECKS = [(kind, check) for kind, name in SOUND for check in SUITES[kind](name)]


@pytest.mark.parametrize(("kind", "check"), CHECKS, ids=[f"{kind}, {check}" for kind, check in CHECKS])
def test_built_in_components_keep_their_promises(kind: str, check: Check) -> None:
    if (kind, check.name) == ("relaxer", "settles"):
        pytest.skip("every relaxer is measured in test_measure.py")
    check()


@pytest.mark.parametrize("subject", ["cost:squared-error", "model:mlp", "energy:oim"])
def test_the_command_prints_a_line_for_each_check_and_json_holds_the_same(
    eb: Callable[..., Result], subject: str
) -> None:
    shown, kept = eb("check", subject), eb("check", subject, "--json", "--certificate", "certificate.json")
    assert (shown.exit_code, kept.exit_code) == (0, 0)
    record = json.loads(kept.stdout)
    kind, _, name = subject.partition(":")
    assert (record["kind"], record["holds"], record["failed"]) == (kind, True, 0)
    assert [one["name"] for one in record["checks"]] == [str(check) for check in SUITES[kind](name)]
    assert all(one["name"] in shown.stdout for one in record["checks"])
    assert "none failed" in shown.stdout
    with open("certificate.json") as file:
        assert json.load(file)["checks"][0]["name"] == record["checks"][0]["name"]


def test_a_component_is_checked_at_the_options_that_are_named_and_with_the_energy_that_is_named(
    eb: Callable[..., Result],
) -> None:
    result = eb("check", "cost:squared-error", "--cost-opt", "copies=2", "--energy", "oim", "--json")
    record = json.loads(result.stdout)
    assert record["subject"] == "SquaredError(copies=2)"
    assert record["energy"].startswith("OscillatorEnergy")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("check", "hopfield"), "'hopfield' is not KIND:NAME"),
        (("check", "relaxer:"), "'relaxer:' is not KIND:NAME"),
        (("check", "relxer:hopfield"), "there is no kind 'relxer'"),
        (("check", "relaxer:hopfeld"), "no relaxer is called 'hopfeld'"),
        (("check", "model:mlp", "--rule", "c-ep"), "a model is checked with nothing else"),
        (("check", "relaxer:hopfield", "--all"), "a relaxer is checked with --energy"),
        (("check", "relaxer:hopfield", "--relaxer", "csb"), "two components of kind relaxer are named"),
        (("check", "relaxer:oim-newton", "--energy", "nothing"), "no energy is called 'nothing'"),
    ],
)
def test_misuse_is_one_error(eb: Callable[..., Result], line: tuple[str, ...], message: str) -> None:
    result = eb(*line)
    assert result.exit_code in (2, 3)
    assert result.stderr.count("error:") == 1
    assert message in " ".join(result.stderr.split())


def test_a_relaxer_that_does_not_take_the_energy_says_so_and_looks_no_further(eb: Callable[..., Result]) -> None:
    result = eb("check", "relaxer:oim-newton", "--energy", "hopfield", "--json")
    record = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [one["verdict"] for one in record["checks"]] == ["failed", *["skipped"] * (len(record["checks"]) - 1)]
