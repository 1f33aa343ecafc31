"""Messages: whatever a value or an error is, it is told on one short line, and a hint is found for near misses."""

from typing import Any

import pytest
import torch

from eb_core.registry import Fault, did_you_mean
from eb_core.registry.wording import shown, told


class Mute:
    def __repr__(self) -> str:
        raise SystemExit(0)


class Wide:
    def __repr__(self) -> str:
        return "wide\n" * 1000


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(900),
        torch.zeros(40, 40),
        {"a": torch.zeros(900)},
        "x" * 10**6,
        b"x" * 10**5,
        list(range(10**5)),
        {i: i for i in range(1000)},
        set(range(1000)),
        [[[[[[[]]]]]]],
        -(10**5000),
        10**400,
        object,
        Wide(),
        Mute(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_is_shown_on_one_line_of_80_characters(value: Any) -> None:
    assert len(shown(value)) <= 82
    assert "\n" not in shown(value)


@pytest.mark.parametrize("value", [True, None, 3, -2.5, float("nan"), "a word", [1, 2], ("a",), {"a": 1}])
def test_a_short_value_is_shown_as_python_writes_it(value: Any) -> None:
    assert shown(value) == repr(value)


def test_an_error_is_told_with_its_type_on_one_line() -> None:
    assert told(ValueError("bad\n  luck")) == "ValueError: bad luck"
    assert len(told(ValueError("x" * 10**6))) < 1010


def test_a_fault_is_never_a_book() -> None:
    assert len(str(Fault("what\n" * 10**5, "origin" * 10**5, "advice" * 10**5))) < 3100


@pytest.mark.parametrize("typed", ["C-EP", "c_ep", "c ep", "C_Ep", " c-ep", "C__EP"])
def test_case_and_separators_do_not_hide_a_name(typed: str) -> None:
    assert did_you_mean(typed, ["c-ep", "p-ep", "c-cpl", "tbp"]) == "did you mean 'c-ep'?"


def test_what_is_suggested_is_written_as_it_is_known() -> None:
    assert did_you_mean("Check-Evry", ["check_every", "steps"]) == "did you mean 'check_every'?"
    assert did_you_mean("MNIST", ["mnist", "mnist-100", "fashion-mnist"]) == "did you mean 'mnist'?"
