"""`check_backend` and `eb check --backend`: sound devices pass, each wrong one fails the check that is meant for it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cells import Cells
from plugin_site import Site
from typer.testing import CliRunner, Result
from wrong_devices import Declares, Emulated, Lenient, Made, OwnSession, Probed

from eb_core import Registry, UsageError
from eb_core.device import DeviceBackend
from eb_core.testing import ConformanceError, check_backend, device_checks
from eb_core.testing.device_bench import Bench
from eb_core.testing.device_checks import CHECKS, FIRST, certify, energy_for
from eb_core.testing.device_judging import run_check
from eb_core.testing.device_measures import bootstrap
from eb_core.testing.report import Case, CheckResult, Measured, SkippedError

BY_NAME = {check[0]: check for check in (*FIRST, *CHECKS)}
ALONE = Registry(())
"""No emulator is installed: a device has no twin."""
MEASURED = {"residual", "losses"}
"""Figures without a verdict: no device is too bad for them."""

SOUND: dict[str, DeviceBackend] = {
    "digital": Made(),
    "analog": Made(analog=True),
    "multiplies the input": Made(fields=False),
    "analog, multiplies the input": Made(analog=True, fields=False),
    **{
        name: Declares(said=name)
        for name in (
            "a chain that nudges with a current",
            "units at will, no clamp",
            "three columns",
            "no nudge",
            "few bits",
            "narrow fields",
        )
    },
}

WRONG: list[tuple[DeviceBackend, str, str]] = [
    (Declares(said="couplings without 0"), "declaration", "weight_range holds 0"),
    (Declares(said="more at once than in a batch"), "declaration", "at_once = 32 is no more than max_batch = 16"),
    (Declares(said="codes of nothing"), "declaration", "codes of output units have a range"),
    (Made(board="TurnsResult"), "settles", "values of shape"),
    (Made(board="Hangs", isolated=True, deadline=0.5), "settles", "no answer within 0.5 s"),
    (Probed(), "probe", "it has units.A = 19, declared is 20"),
    (Made(board="HasFewerUnits"), "all units", "unit 8 of 12 in output"),
    (Declares(said="states in other units"), "all units", "in hidden1: off by"),
    (Lenient(word="column"), "too many units", "21 units in column A: accepted"),
    (Lenient(word="matrix"), "wrong wiring", "an edge that is no matrix of couplings: accepted"),
    (Lenient(word="self-term"), "wrong wiring", "edges with a self-term: accepted"),
    (Lenient(word="one column"), "wrong wiring", "couplings within a column: accepted"),
    (OwnSession(way="nudge"), "wrong phases", "a nudge: accepted"),
    (Made(board="TellsTooMuch"), "clipping", "couplings told as effective from"),
    (Made(board="IgnoresProgram"), "weights arrive", "with other couplings units moved by 0 of the width"),
    (Made(board="KeepsOldForZero"), "zero couplings", "sample 0: off by"),
    (Made(board="Transposes"), "couplings act", "response of others"),
    (Made(board="WeakFeedback"), "symmetric couplings", "responses against their transpose"),
    (Made(board="IgnoresBias", fields=False), "biases pull", "lower moved unit 0 of hidden1 by"),
    (Made(board="RollsInputs", fields=False), "inputs pull", "input 0 moved its unit by"),
    (Made(board="NudgesAway"), "nudges pull", "beta = +0.2 moved outputs by -"),
    (Made(board="NudgesOneWay"), "nudges pull", "beta = -0.2 moved outputs by"),
    (Made(board="HoldsNothing"), "clamps hold", "beside outputs held at"),
    (Made(board="NeverResets"), "reset forgets", "after all units were pushed up"),
    (Made(board="AlwaysResets", analog=True), "last goes on", "from the upper end, it ended in the lower one"),
    (Made(board="IgnoresStates"), "write starts there", "from the upper minimum, it ended in the lower one"),
    (OwnSession(way="start"), "left alone", "the start state of hidden1"),
    (Made(board="Leaks"), "samples alone", "sample 0: off by"),
    (Made(board="RepeatsHalf"), "long batches", "of 33: off by"),
    (Made(board="NudgesAllAlike"), "stacked phases", "beta = +0.2: off by"),
    (Made(board="LacksLevel"), "levels", "255 levels were seen of 256"),
    (Made(board="HasLevelsBetween"), "levels", "levels were seen, 8 bits are 256"),
    (Made(board="Noisy", analog=True), "read-out noise", "a scatter of 0.02 of the width, declared is 0.002"),
    (Made(board="Quiet", analog=True), "read-out noise", "a scatter of 0 of the width, declared is 0.002"),
    (Made(board="Drifts"), "same twice", "the second time: off by"),
    (Made(board="ForgetsNoise", analog=True), "goes on", "restored in the same session"),
    (Made(board="CloseRaises"), "closes", "after an error, close raised: Made: OSError: the port is stuck"),
    (Made(board="StaysLocked", isolated=True), "deadline", "somebody else has the board"),
    (Made(board="FreezesHidden"), "gradient", "cosine, less that of an ideal device read as declared: -0.1"),
]


def name_of(device: Any) -> str:
    said = (getattr(device, key, "") for key in ("said", "word", "way", "board"))
    return f"{type(device).__name__} {next(one for one in said if one)}"


def of(device: DeviceBackend, check: str, **options: Any) -> CheckResult:
    return run_check(Bench(device, Cells(), **options), BY_NAME[check])


@pytest.fixture
def emulators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry that offers an emulator of any capabilities, and nothing else."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    site = Site(folder)
    component = 'Component("emulator", "wrong_devices:Emulated", "a chip")'
    site.install("some-emulator", f"@hookimpl\ndef eb_backends():\n    return [{component}]\n")
    yield site.registry()
    site.forget()


@pytest.fixture
def eb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    from eb_core.cli.main import app

    monkeypatch.chdir(tmp_path)
    return lambda *line: CliRunner().invoke(app, [str(word) for word in line], catch_exceptions=False)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_device_passes_every_check_that_applies_to_it(name: str) -> None:
    certificate = certify(Bench(SOUND[name], Cells(), registry=ALONE))
    assert [f"{one.name}: {one.text}" for one in certificate.of("failed")] == []
    assert len(certificate.of("passed")) >= 18
    assert certificate.holds


@pytest.mark.parametrize("check", [check for check in BY_NAME if check not in {*MEASURED, "deadline", "probe"}])
def test_every_check_applies_to_a_sound_device(check: str) -> None:
    devices = {**SOUND, "remembers": Made(board="Remembers", analog=True)}
    assert any(of(device, check).verdict == "passed" for device in devices.values())


def test_a_device_in_a_process_of_its_own_is_given_up_killed_and_opened_anew() -> None:
    found = of(Made(isolated=True), "deadline")
    assert (found.verdict, found.cases) == ("passed", 3)


@pytest.mark.parametrize(("device", "check", "text"), WRONG, ids=[f"{name_of(one[0])}" for one in WRONG])
def test_a_wrong_device_fails_the_check_that_is_meant_for_it(
    device: DeviceBackend, check: str, text: str, tmp_path: Path
) -> None:
    if getattr(device, "board", "") == "StaysLocked":
        device = attrs.evolve(device, lock=str(tmp_path / "lock"))
    found = of(device, check)
    assert found.verdict == "failed", found
    assert text in found.text


def test_every_check_has_a_wrong_device_that_it_is_meant_for() -> None:
    assert {check for _, check, _ in WRONG} == set(BY_NAME) - MEASURED


@pytest.mark.parametrize(
    "board", ["Transposes", "NudgesOneWay", "HoldsNothing", "NeverResets", "IgnoresStates", "LacksLevel"]
)
def test_a_fault_in_one_place_fails_no_other_check(board: str) -> None:
    (check,) = (check for device, check, _ in WRONG if getattr(device, "board", "") == board)
    bench = Bench(Made(board=board), Cells())
    others = [other for other in BY_NAME if other not in {check, *MEASURED}]
    assert [other for other in others if run_check(bench, BY_NAME[other]).verdict == "failed"] == []


def test_check_backend_counts_the_cases_and_names_every_check_that_failed() -> None:
    assert check_backend(Made(), Cells()) > 90
    with pytest.raises(ConformanceError, match=r"clamps hold: beside outputs held at .*\[Made\]"):
        check_backend(Made(board="HoldsNothing"), Cells())


def test_where_a_net_does_not_settle_nothing_more_is_asked_of_the_device() -> None:
    certificate = certify(Bench(Made(board="TurnsResult"), Cells()))
    assert [one.name for one in certificate.of("failed")] == ["settles"]
    assert {one.text for one in certificate.of("skipped")} == {"'settles' failed"}


def test_a_run_in_which_no_check_applies_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def skipped(bench: Bench) -> Iterator[Case]:
        raise SkippedError("it has no such thing")
        yield

    monkeypatch.setattr(device_checks, "FIRST", ())
    monkeypatch.setattr(device_checks, "CHECKS", [("one", "it does one thing", skipped)])
    with pytest.raises(ConformanceError, match="no check applied to it"):
        check_backend(Made(), Cells())


def test_a_check_that_looks_at_nothing_has_failed() -> None:
    found = run_check(Bench(Made(), Cells()), ("one", "it does one thing", lambda bench: iter(())))
    assert (found.verdict, found.text) == ("failed", "it looked at nothing")


def test_what_a_device_is_asked_for_is_skipped_with_a_reason_where_it_declares_that_it_has_none() -> None:
    certificate = certify(Bench(Declares(said="no nudge"), Cells()))
    reasons = {one.name: one.text for one in certificate.of("skipped")}
    assert {"nudges pull", "stacked phases", "gradient", "losses", "deadline"} <= set(reasons)
    assert all(reasons.values())


def test_the_certificate_is_strict_json_with_versions_capabilities_and_the_figures_of_every_check() -> None:
    record = certify(Bench(Made(analog=True), Cells(), seed=3, registry=ALONE)).record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {"eb-core", "python", "numpy", "torch"} <= set(record["versions"])
    assert record["capabilities"]["units"] == {"A": 20, "B": 12}
    assert record["capabilities"]["readout_noise"] == 0.002
    assert (record["schema"], record["holds"], record["seed"], record["dynamics"]) == (1, True, 3, "the device")
    assert [one["name"] for one in record["checks"]] == list(BY_NAME)
    assert {one["verdict"] for one in record["checks"]} <= {"passed", "skipped", "measured"}
    figures = {one["name"]: one["figures"] for one in record["checks"]}
    assert figures["zero couplings"]["off"] <= figures["zero couplings"]["allowed"]
    gradient = figures["gradient"]
    assert gradient["cosine, low"] <= gradient["cosine"] <= gradient["cosine, high"] <= 1.0
    assert record["usage"]["settles"] > 100


def test_a_cosine_that_is_demanded_is_judged_by_the_lower_end_of_its_interval() -> None:
    figures = of(Made(), "gradient").figures
    between = (figures["cosine, low"] + figures["cosine"]) / 2
    assert of(Made(), "gradient", cosine=figures["cosine, low"] - 1e-9).verdict == "passed"
    found = of(Made(), "gradient", cosine=between)
    assert found.verdict == "failed"
    assert "at the lower end" in found.text


def test_an_interval_holds_the_mean_and_is_narrower_for_more_nets() -> None:
    mean, low, high = bootstrap([0.7, 0.8, 0.9, 1.0])
    assert mean == pytest.approx(0.85)
    assert 0.7 < low < mean < high < 1.0
    _, tighter, wider = bootstrap([0.7, 0.8, 0.9, 1.0] * 8)
    assert wider - tighter < 0.5 * (high - low)


def test_a_twin_says_what_each_declared_loss_takes_from_its_gradient(emulators: Registry) -> None:
    device = Declares(said="few bits")
    found = of(device, "losses", registry=emulators)
    assert found.verdict == "measured"
    lines = found.text.splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == [
        "cosine of the emulated twin",
        "cosine of the emulated twin without weight_bits = 6",
        "cosine of the emulated twin without field_bits = 10",
        "cosine of the emulated twin without readout_bits = 6",
    ]
    whole = found.figures["cosine of the emulated twin"]
    assert found.figures["cosine of the emulated twin without weight_bits = 6"] > whole
    assert found.figures["cosine of the emulated twin without field_bits = 10"] == pytest.approx(whole, abs=1e-3)


def test_clipping_is_a_loss_where_something_is_clipped(emulators: Registry) -> None:
    figures = of(Declares(said="narrow fields"), "losses", registry=emulators).figures
    twin = "cosine of the emulated twin"
    assert figures[f"{twin} without clipping"] > figures[twin] + 0.005
    assert f"{twin} without clipping" not in of(Made(), "losses", registry=emulators).figures


def test_where_fields_are_cut_a_state_that_differs_tells_nothing() -> None:
    found = of(Declares(said="narrow fields"), "zero couplings")
    assert (found.verdict, "fields beyond the range of the device were cut" in found.text) == ("skipped", True)


def test_an_emulator_is_its_own_twin_and_its_faults_are_switched_off_too(emulators: Registry) -> None:
    figures = of(Emulated(mismatch=0.4, seed=2), "losses", registry=emulators).figures
    whole, better = (figures[f"cosine of the emulated twin{end}"] for end in ("", " without mismatch = 0.4"))
    assert whole < better - 0.005
    assert not any("seed" in name for name in figures)


def test_the_settles_of_a_twin_are_no_use_of_the_device(emulators: Registry) -> None:
    bench = Bench(Made(), Cells(), registry=emulators)
    assert run_check(bench, BY_NAME["losses"]).verdict == "measured"
    assert (bench.usage, bench.twin_usage["settles"] > 0) == ({}, True)


def test_without_an_emulator_there_is_no_twin_and_the_reason_is_said() -> None:
    found = of(Made(), "losses", registry=ALONE)
    assert (found.verdict, found.text) == ("skipped", "no emulator is installed for a twin of it: eb-backend-emulator")


def test_a_device_whose_units_no_installed_energy_has_needs_one_that_is_named() -> None:
    with pytest.raises(UsageError, match="units of the device are 'cell', and no energy that is installed"):
        energy_for(ALONE, Made())


def test_a_figure_is_judged_at_the_lower_end_of_its_interval() -> None:
    def measured(low: float) -> Iterator[Measured]:
        yield Measured("cosine", 0.95, low, 1.0, "an interval", least=0.9)

    bench = Bench(Made(), Cells())
    verdicts = [
        run_check(bench, ("one", "it is good", lambda _, low=low: measured(low))).verdict
        for low in (0.91, 0.89, float("nan"))
    ]
    assert verdicts == ["passed", "failed", "failed"]


DEVICE = ("check", "--energy", "cells:Cells", "--backend")


def test_the_command_prints_a_line_for_each_check_and_writes_the_certificate(eb: Callable[..., Result]) -> None:
    result = eb(*DEVICE, "wrong_devices:Made", "--certificate", "made.json")
    assert result.exit_code == 0, result.output
    for name in BY_NAME:
        assert f"\n{name} " in result.stdout
    assert "none failed" in result.stdout
    assert json.loads(Path("made.json").read_text())["holds"] is True


def test_the_command_exits_with_1_and_names_the_fault_where_a_check_failed(eb: Callable[..., Result]) -> None:
    result = eb(*DEVICE, "wrong_devices:Made", "--backend-opt", "board=TurnsResult", "--json")
    record = json.loads(result.stdout)
    assert (result.exit_code, record["holds"], record["failed"]) == (1, False, 1)
    shown = eb(*DEVICE, "wrong_devices:Made", "--backend-opt", "board=TurnsResult")
    assert "1 failed" in shown.stdout
    assert "values of shape (32, 6) came back" in " ".join(shown.stdout.split())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("check", "--backend", "simulator"), "Simulator is no device that settles by itself"),
        ((*DEVICE, "wrong_devices:Made", "--rule", "c-ep"), "a backend is checked with --energy and --relaxer"),
        ((*DEVICE, "wrong_devices:Made", "--all"), "a backend is checked with --energy and --relaxer"),
        ((*DEVICE, "wrong_devices:Made", "--relaxer", "wrong_devices:Made"), "Made settles by itself"),
        ((*DEVICE, "wrong_devices:Made", "--certificate", "nowhere/made.json"), "there is no directory"),
        ((*DEVICE, "wrong_devices:Made", "--certificate", "."), "is a directory"),
        (("check", "--backend-opt", "board=Board"), "no component is named"),
        (("check", "--certificate", "made.json"), "no component is named"),
    ],
)
def test_misuse_is_one_clear_error_before_the_device_is_used(
    eb: Callable[..., Result], line: tuple[str, ...], message: str
) -> None:
    result = eb(*line)
    assert result.exit_code == 2
    assert result.stderr.count("error:") == 1
    assert message in " ".join(result.stderr.split())
    assert not Path("made.json").exists()
