"""`eb check --backend emulator`: chips that are emulated pass, and what they were told to lack is found."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Eb = Callable[..., Result]


def checked(eb: Eb, *options: str, line: tuple[str, ...] = ()) -> dict[str, Any]:
    told = [word for option in options for word in ("--backend-opt", option)]
    result = eb("check", "--backend", "emulator", "--json", *told, *line)
    record: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (0 if record["holds"] else 1)
    return record


def of(record: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in record["checks"] if one["name"] == name)


@pytest.mark.parametrize(
    ("chip", "energy"), [("ideal", "HopfieldEnergy"), ("oim-cmos", "OscillatorEnergy"), ("cim-fpga", "CimEnergy")]
)
def test_every_chip_that_is_shipped_does_what_it_declares(eb: Eb, chip: str, energy: str) -> None:
    record = checked(eb, f"chip={chip}")
    assert [one for one in record["checks"] if one["verdict"] == "failed"] == []
    assert record["energy"] == energy
    assert record["dynamics"] == "one layer after the other at its minimum, as Emulator has no dynamics of its own"
    assert "eb-backend-emulator" in record["versions"]
    assert of(record, "losses")["verdict"] == ("skipped" if chip == "ideal" else "measured")


def test_a_chip_of_any_unit_is_checked_with_the_physics_that_is_named(eb: Eb) -> None:
    record = checked(eb, line=("--energy", "cim"))
    assert (record["energy"], record["holds"]) == ("CimEnergy", True)


def test_the_dynamics_of_a_training_may_settle_an_emulated_chip(eb: Eb) -> None:
    told = ("--relaxer", "gradient-flow", "--relaxer-opt", "steps=2000", "--relaxer-opt", "nudged_steps=2000")
    record = checked(eb, line=told)
    assert record["dynamics"].startswith("GradientFlow(")
    assert "steps=2000" in record["dynamics"]
    assert record["holds"]


def test_what_mismatch_and_noise_take_from_the_gradient_is_told_apart(eb: Eb) -> None:
    figures = of(checked(eb, "mismatch=0.3", "readout_noise=0.02"), "losses")["figures"]
    twin = "cosine of the emulated twin"
    mismatch, noise = (figures[f"{twin} without {name}"] for name in ("mismatch = 0.3", "readout_noise = 0.02"))
    assert mismatch > figures[twin] + 0.02
    assert mismatch > noise


def test_couplings_that_differ_both_ways_are_found(eb: Eb) -> None:
    record = checked(eb, "asymmetry=0.6", line=("--relaxer", "hopfield-sync"))
    assert of(record, "symmetric couplings")["verdict"] == "failed"
