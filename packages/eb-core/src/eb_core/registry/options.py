"""Options: the fields of a component are its settings, strictly checked and self-describing.

    @configurable
    class Flow(Relaxer):
        dt: float = option(default=0.5, help="step of the explicit Euler scheme", unit="time constants", gt=0, le=2)

`configurable` makes a frozen, keyword-only attrs class. attrs checks no types by itself, and its bounds
accept True and inf; here bool is no number, a number is finite and is one that the machine can reckon with (a whole
one in 64 bits, any other up to 1e30), and a wrong value names the option.
"""

import functools
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar, cast, dataclass_transform, get_type_hints

import attrs

from eb_core.registry.conditions import Conditions
from eb_core.registry.conform import OptionSpec, conform
from eb_core.registry.errors import SHOWN, Fault, did_you_mean
from eb_core.registry.text import Text, arms_of
from eb_core.registry.wording import shown

T = TypeVar("T")
_METADATA = "eb.option"


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
        default: the value where none is given; without a default, one must be given.
        help: what it means, in a line, for tables and errors.
        unit: unit of the value, such as "iterations"; empty for none.
        gt: the value must be greater than this.
        ge: the value must be at least this.
        lt: the value must be less than this.
        le: the value must be at most this.
        reaches_out: it says with whom to speak outside this computer, such as a URL or the address of a chip. A recipe
            or a run directory may not set it to anything but its default unless the user trusts it.
        only_with: what it needs of other options to do anything: option -> values or True, or a tuple of alternatives.
        phases: the phases that it acts in; empty for all.
        prepares: whether it says what samples and labels of a data set look like.
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


def option_types(cls: type) -> Mapping[str, Any]:
    """Resolved annotations of the options of `cls`."""
    return _hints(cast(Hashable, cls))


@functools.lru_cache(maxsize=256)
def _hints(cls: Hashable) -> Mapping[str, Any]:
    """They are asked for with every value, and costly to find."""
    return get_type_hints(cls)


def _may_be_empty(kind: Any) -> bool:
    """Whether the text `none` stands for no value; TOML has no null of its own."""
    return type(None) in arms_of(kind) and str not in arms_of(kind)


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
        cls: a class whose fields are options; see `configurable`.
        values: option -> (value, origin); faults name the origin.
        owner: what faults call it, such as `rule 'c-ep'`.
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
