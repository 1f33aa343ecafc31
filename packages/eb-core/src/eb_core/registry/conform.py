"""Is a value of the type and within the bounds that an option asks for? bool is no number, and a number is finite."""

import math
import types
from collections.abc import Mapping
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from eb_core.registry.conditions import Conditions
from eb_core.registry.errors import did_you_mean
from eb_core.registry.wording import shown

LARGEST: Final = 1e30
"""No number is larger: weights and states are in single precision, which ends at 3.4e38, and are multiplied by it."""


@attrs.frozen
class OptionSpec:
    """What is known of an option beside its type and default.

    Args:
        only_with: alternatives; where none of them holds, the option does nothing.
        phases: the phases that it acts in; nothing means all.
        prepares: whether it says what samples and labels of a data set look like, so that data for a trained net must
            have the same.
    """

    help: str
    unit: str = ""
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    reaches_out: bool = False
    only_with: tuple[Conditions, ...] = ()
    phases: tuple[str, ...] = ()
    prepares: bool = False

    def range(self) -> str:
        """Bounds in words, such as `> 0, <= 1`."""
        pairs = ((">", self.gt), (">=", self.ge), ("<", self.lt), ("<=", self.le))
        return ", ".join(f"{sign} {bound:g}" for sign, bound in pairs if bound is not None)

    def admits(self, value: float) -> bool:
        """Whether a finite number lies within the bounds."""
        return not (
            (self.gt is not None and value <= self.gt)
            or (self.ge is not None and value < self.ge)
            or (self.lt is not None and value >= self.lt)
            or (self.le is not None and value > self.le)
        )


def conform(value: Any, kind: Any, spec: OptionSpec) -> Any:
    """`value` as an instance of `kind` within the bounds of `spec`; raises ValueError with the reason."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        inner = [arm for arm in get_args(kind) if arm is not type(None)]
        return _first_fit(value, inner, kind, spec)
    if origin is Literal:
        if (type(value), value) not in [(type(choice), choice) for choice in get_args(kind)]:
            word = value if isinstance(value, str) else shown(value)
            raise ValueError(f"must be {type_name(kind)}; {did_you_mean(word, map(str, get_args(kind)))}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"must be {type_name(kind)}, not {shown(value)}")
        return tuple(conform(one, get_args(kind)[0], spec) for one in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ValueError(f"must be {type_name(kind)}, not {shown(value)}")
        return {key: conform(one, get_args(kind)[1], spec) for key, one in value.items()}
    return _scalar(value, kind, spec)


def _first_fit(value: Any, arms: list[Any], kind: Any, spec: OptionSpec) -> Any:
    errors = []
    for arm in arms:
        try:
            return conform(value, arm, spec)
        except ValueError as error:
            errors.append(str(error))
    raise ValueError(errors[0] if len(errors) == 1 else f"must be {type_name(kind)}, not {shown(value)}")


def _scalar(value: Any, kind: Any, spec: OptionSpec) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        bool: isinstance(value, bool),
        int: number and isinstance(value, int),
        float: number,
        str: isinstance(value, str),
    }
    if kind not in fits:
        raise ValueError(f"options of type {shown(kind)} are not supported")
    if not fits[kind]:
        raise ValueError(f"must be {type_name(kind)}, not {shown(value)}")
    if kind is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"must be a whole number of at most 64 bits, not {shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be finite, not {shown(value)}")
    if kind is float and abs(value) > LARGEST:
        raise ValueError(f"must be at most {LARGEST:g} in size, not {shown(value)}")
    if kind in (int, float) and not spec.admits(value):
        raise ValueError(f"must be {spec.range()}, not {shown(value)}")
    return kind(value)


def type_name(kind: Any) -> str:
    """A type in the words of a user: `number`, `one of a | b`, `list of whole numbers` …"""
    plain = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "none"}
    if kind in plain:
        return plain[kind]
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + " | ".join(map(str, args))
    if origin is tuple:
        return f"a list, each {type_name(args[0])}"
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(arm) for arm in args)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a table, each value {type_name(args[1])}"
    return str(kind)
