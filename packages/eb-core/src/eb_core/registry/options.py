"""Options: the fields of a component are its settings, strictly checked and self-describing.

    @configurable
    class Flow(Relaxer):
        dt: float = option(default=0.5, help="step of the explicit Euler scheme", unit="time constants", gt=0, le=2)

`configurable` makes a frozen, keyword-only attrs class. attrs checks no types by itself, and its bounds
accept True and inf; here bool is no number, a number is finite and is one that the machine can reckon with (a whole
one in 64 bits, any other up to 1e30), and a wrong value names the option.
"""

import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

import attrs

from eb_core.registry.conditions import Conditions
from eb_core.registry.errors import SHOWN, Fault, did_you_mean
from eb_core.registry.text import Text, arms_of
from eb_core.registry.wording import shown

T = TypeVar("T")
_METADATA = "eb.option"

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


def option(
    *,
    default: Any = attrs.NOTHING,
    help: str,
    unit: str = "",
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
    reaches_out: bool = False,
    only_with: Conditions | tuple[Conditions, ...] = (),
    phases: tuple[str, ...] = (),
    prepares: bool = False,
) -> Any:
    """One setting of a component: its default, what it means, its unit and its range.

        momentum: float = option(default=0.0, help="of SGD", only_with={"optimizer": ("sgd",)})

    says that `momentum` does nothing with another optimizer, so that a user who sets it in vain is told. A tuple of
    such mappings are alternatives, and `{"noise": True}` asks for any value but none, 0 and false. `phases=("nudged",)`
    says the same of rules that settle no such phase; `prepares=True` marks an option of a data set that a trained net
    needs of other data too, such as a normalisation.

    The type comes from the annotation: bool, int, float, str, `Literal[...]`, `tuple[T, ...]`,
    `Mapping[str, T]`, or any of them `| None`. Bounds hold for every number inside.

    Args:
        reaches_out: it says with whom to speak outside this computer, such as a URL or the address of a chip. A recipe
            or a run directory may not set it to anything but its default unless the user trusts it.
    """
    ways = (only_with,) if isinstance(only_with, Mapping) else only_with
    spec = OptionSpec(help, unit, gt, ge, lt, le, reaches_out, tuple(way for way in ways if way), phases, prepares)
    factory = {"factory": lambda: default} if isinstance(default, Mapping) else {"default": default}
    return attrs.field(
        **factory,
        converter=attrs.Converter(_convert, takes_self=True, takes_field=True),
        metadata={_METADATA: spec},
    )


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option,))
def configurable(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, keyword-only value whose fields are its options."""
    return attrs.frozen(kw_only=True)(cls)


def _convert(value: Any, instance: object, field: "attrs.Attribute[Any]") -> Any:
    try:
        return conform(value, option_types(type(instance))[field.name], field.metadata[_METADATA])
    except ValueError as error:
        raise ValueError(f"{type(instance).__name__}({field.name}={shown(value)}): {error}") from None


def option_types(cls: type) -> dict[str, Any]:
    """Resolved annotations of the options of `cls`."""
    return get_type_hints(cls)


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


def _may_be_empty(kind: Any) -> bool:
    """Whether the text `none` stands for no value; TOML has no null of its own."""
    return type(None) in arms_of(kind) and str not in arms_of(kind)


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


def fields(cls: type) -> Iterator[tuple["attrs.Attribute[Any]", OptionSpec]]:
    """The options of a configurable class, in order of definition.

    What an option needs to do anything is inherited by one that a subclass declares anew without saying so.
    """
    for field in attrs.fields(cls):
        if _METADATA in field.metadata:
            own: OptionSpec = field.metadata[_METADATA]
            above = [spec for base in cls.__mro__[1:] if (spec := _declared(base, field.name))]
            marks = next(
                ((spec.only_with, spec.phases) for spec in (own, *above) if spec.only_with or spec.phases), None
            )
            yield field, own if marks is None else attrs.evolve(own, only_with=marks[0], phases=marks[1])


def _declared(cls: type, name: str) -> OptionSpec | None:
    """The option of this name of a configurable class, if it has one."""
    fields_of = attrs.fields_dict(cls) if attrs.has(cls) else {}
    return fields_of[name].metadata.get(_METADATA) if name in fields_of else None


def default_of(field: "attrs.Attribute[Any]") -> Any:
    """Default value of an option, `attrs.NOTHING` when it must be given."""
    default: Any = field.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


def structure(
    cls: Callable[..., T], values: Mapping[str, tuple[Any, str]], owner: str, doubted: Mapping[str, str] = {}
) -> tuple[T | None, dict[str, Any], list[Fault]]:
    """Build `cls` from `{option: (value, origin)}`, reporting every problem instead of the first.

    Args:
        doubted: option -> how to vouch for its value, where it comes from a file that nobody has vouched for. Such a
            value must not reach outside this computer.

    Returns:
        the instance (None if anything is wrong), the values of all its options, and the faults.
    """
    known = {field.name: (field, spec) for field, spec in fields(typing.cast(type, cls))}
    kinds = option_types(typing.cast(type, cls))
    faults = [
        Fault(f"{owner} has no option {shown(name)}", origin, did_you_mean(name, known) if index < SHOWN else "")
        for index, (name, (_, origin)) in enumerate(values.items())
        if name not in known
    ]
    good: dict[str, Any] = {}
    for name, (field, spec) in known.items():
        if name not in values:
            if default_of(field) is attrs.NOTHING:
                faults.append(Fault(f"{owner} needs the option '{name}'", "", spec.help))
            else:
                good[name] = default_of(field)
            continue
        value, origin = values[name]
        value = value.read(kinds[name]) if isinstance(value, Text) else value
        value = None if isinstance(value, str) and value == "none" and _may_be_empty(kinds[name]) else value
        try:
            good[name] = conform(value, kinds[name], spec)
        except ValueError as error:
            faults.append(Fault(f"option '{name}' of {owner} {error}", origin, spec.help))
            continue
        if spec.reaches_out and name in doubted and good[name] != default_of(field):
            what = f"option '{name}' of {owner} reaches outside this computer: no file may set it by itself"
            faults.append(Fault(what, origin, f"if you trust whoever wrote it: {doubted[name]}"))
    if faults:
        return None, good, faults
    try:
        return cls(**good), good, []
    except ValueError as error:
        return None, good, [Fault(f"{owner}: {error}", "", "change one of the options it names")]


def evolve(instance: T, **changes: Any) -> T:
    """The same component with some options changed, checked like any other."""
    return attrs.evolve(instance, **changes)  # type: ignore[misc]
