"""Options: types and bounds are strict, text from the command line means what it says."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eb_core.registry import Text, configurable, fields, option, type_name
from eb_core.registry.conform import OptionSpec, conform
from eb_core.registry.options import default_of, option_types, structure


@configurable
class Flow:
    """One option of every supported type."""

    dt: float = option(default=0.5, help="step", unit="s", gt=0, le=2)
    steps: int = option(default=3, help="iterations", ge=1)
    adaptive: bool = option(default=False, help="whether the step changes")
    label: str = option(default="flow", help="a word")
    scheme: Literal["euler", "heun"] = option(default="euler", help="the scheme")
    order: Literal[1, 2] = option(default=1, help="its order")
    gains: tuple[float, ...] = option(default=(1.0,), help="one for each layer", gt=0)
    pools: tuple[Literal["max", "avg"], ...] = option(default=("max",), help="one for each layer")
    few: tuple[int, ...] | None = option(default=None, help="none for all")
    rates: Mapping[str, float] = option(default={}, help="by name", ge=0)
    tol: float | None = option(default=1e-3, help="none for no tolerance", ge=0)


def build(**values: Any) -> Any:
    """The instance made of values as they come from a recipe, and the texts of all faults."""
    instance, _, faults = structure(Flow, {name: (value, f"{name} flag") for name, value in values.items()}, "flow")
    return instance, [str(fault) for fault in faults]


HUGE = pytest.param(10**5000, id="more digits than Python writes")
NOT_NUMBERS = [True, False, math.nan, math.inf, -math.inf, "1", None, [1.0], 1j]


@given(st.floats(min_value=0, max_value=2, exclude_min=True))
def test_every_finite_number_inside_the_bounds_is_accepted(dt: float) -> None:
    assert Flow(dt=dt).dt == dt


@given(st.one_of(st.floats(max_value=0), st.floats(min_value=2, exclude_min=True), st.sampled_from(NOT_NUMBERS)))
def test_no_other_value_is_accepted_for_a_number_with_bounds(dt: Any) -> None:
    with pytest.raises(ValueError, match=r"Flow\(dt="):
        Flow(dt=dt)


@pytest.mark.parametrize("bad", [True, 1.0, math.nan, math.inf, "2", None, 0])
def test_a_whole_number_must_be_whole_and_no_bool(bad: Any) -> None:
    with pytest.raises(ValueError, match="steps"):
        Flow(steps=bad)


@pytest.mark.parametrize("bad", [0, 1, "true", None])
def test_only_true_and_false_are_true_or_false(bad: Any) -> None:
    with pytest.raises(ValueError, match="true or false"):
        Flow(adaptive=bad)


def test_a_whole_number_is_accepted_for_a_number_and_becomes_one() -> None:
    assert isinstance(Flow(dt=1).dt, float)


@pytest.mark.parametrize("bad", [10**400, 1e300, -1e31, HUGE])
def test_a_number_that_single_precision_cannot_reckon_with_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"must be at most 1e\+30 in size, not "):
        Flow(tol=bad)


@pytest.mark.parametrize("bad", [2**63, -(2**63) - 1, 10**400, HUGE])
def test_a_whole_number_of_more_than_64_bits_is_refused(bad: int) -> None:
    with pytest.raises(ValueError, match="must be a whole number of at most 64 bits, not ") as caught:
        Flow(steps=bad)
    assert len(str(caught.value)) < 200
    assert Flow(steps=2**63 - 1).steps == 2**63 - 1


@pytest.mark.parametrize("bad", [[1.0, True], [1.0, math.inf], [0.0], 1.0, "1.0", {"a": 1.0}])
def test_bounds_and_types_hold_for_every_member_of_a_list(bad: Any) -> None:
    with pytest.raises(ValueError, match="gains"):
        Flow(gains=bad)


@pytest.mark.parametrize("bad", [{"a": -1.0}, {"a": True}, {1: 1.0}, [("a", 1.0)]])
def test_bounds_and_types_hold_for_every_value_of_a_table(bad: Any) -> None:
    with pytest.raises(ValueError, match="rates"):
        Flow(rates=bad)


@pytest.mark.parametrize("bad", [1.0, True, "1", 3])
def test_a_choice_is_taken_in_its_own_type_only(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"one of 1 \| 2"):
        Flow(order=bad)


def test_a_misspelt_choice_gets_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean 'heun'"):
        Flow(scheme="heum")


def test_a_list_becomes_a_tuple_so_that_the_value_can_be_hashed() -> None:
    assert Flow(gains=[1, 2]).gains == (1.0, 2.0)


def test_the_default_of_a_table_belongs_to_one_instance() -> None:
    first = Flow()
    first.rates["a"] = 1.0
    assert Flow().rates == {}


def test_an_instance_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Flow().dt = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("dt", ".5", 0.5),
        ("dt", "1.", 1.0),
        ("dt", "1.e-1", 0.1),
        ("dt", "1", 1.0),
        ("steps", "20", 20),
        ("adaptive", "true", True),
        ("label", "a word", "a word"),
        ("label", "1e3", "1e3"),
        ("label", '"quoted"', "quoted"),
        ("scheme", "heun", "heun"),
        ("scheme", '"heun"', "heun"),
        ("order", "2", 2),
        ("gains", "[.5, 2.]", (0.5, 2.0)),
        ("gains", "1.", (1.0,)),
        ("gains", ".5,2", (0.5, 2.0)),
        ("gains", "[]", ()),
        ("pools", "avg", ("avg",)),
        ("pools", "[max, avg]", ("max", "avg")),
        ("pools", '["max"]', ("max",)),
        ("few", "none", None),
        ("few", "2", (2,)),
        ("rates", '{"edges.input-hidden1.weight" = .06}', {"edges.input-hidden1.weight": 0.06}),
        ("rates", "{'hidden2.*' = 1.}", {"hidden2.*": 1.0}),
        ("tol", "none", None),
        ("tol", ".1", 0.1),
    ],
)
def test_text_from_the_command_line_is_read_by_the_type_of_its_option(name: str, text: str, value: Any) -> None:
    instance, faults = build(**{name: Text(text)})
    assert faults == []
    assert getattr(instance, name) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("dt", "nan", "must be finite, not nan"),
        ("dt", "-inf", "must be finite, not -inf"),
        ("dt", "1e999", "must be finite, not inf"),
        ("dt", "fast", "must be a number, not 'fast'"),
        ("dt", "true", "must be a number, not True"),
        ("dt", "2.5", "must be > 0, <= 2, not 2.5"),
        ("steps", "2.0", "must be a whole number, not 2.0"),
        ("steps", "0", "must be >= 1, not 0"),
        ("steps", "9" * 5000, "must be a whole number"),
        ("gains", "[" * 5000, "must be a list"),
        ("steps", "", "must be a whole number, not ''"),
        ("adaptive", "True", "must be true or false, not 'True'"),
        ("scheme", "eular", "did you mean 'euler'?"),
        ("gains", "1.0, wide", "must be a number, not 'wide'"),
        ("pools", "max,main", "did you mean 'max'?"),
    ],
)
def test_text_that_does_not_fit_is_a_fault_that_names_its_flag(name: str, text: str, message: str) -> None:
    instance, faults = build(**{name: Text(text)})
    assert instance is None
    assert len(faults) == 1
    assert f"option '{name}' of flow" in faults[0]
    assert message in faults[0]
    assert f"from: {name} flag" in faults[0]


def test_all_faults_of_a_component_are_found_at_once() -> None:
    instance, faults = build(dt=-1.0, step=4, scheme="heum", gains=[1.0])
    assert instance is None
    assert [fault.splitlines()[0].partition(" must")[0] for fault in faults] == [
        "flow has no option 'step'",
        "option 'dt' of flow",
        "option 'scheme' of flow",
    ]
    assert "did you mean 'steps'?" in faults[0]


def test_an_option_without_default_must_be_given() -> None:
    @configurable
    class Chip:
        port: int = option(help="where it listens")

    instance, _, faults = structure(Chip, {}, "backend 'chip'")
    assert instance is None
    assert [fault.what for fault in faults] == ["backend 'chip' needs the option 'port'"]


def test_an_option_of_a_type_that_is_not_supported_is_refused() -> None:
    with pytest.raises(ValueError, match="not supported"):
        conform(1j, complex, OptionSpec(""))


def test_options_describe_themselves() -> None:
    known = {field.name: (field, spec) for field, spec in fields(Flow)}
    field, spec = known["dt"]
    assert (default_of(field), spec.range(), spec.unit, spec.help) == (0.5, "> 0, <= 2", "s", "step")
    kinds = option_types(Flow)
    assert type_name(kinds["tol"]) == "a number or none"
    assert type_name(kinds["gains"]) == "a list, each a number"
    assert type_name(kinds["rates"]) == "a table, each value a number"
    assert type_name(kinds["scheme"]) == "one of euler | heun"
