"""What a device can do, as data: a TOML file that is read without the device's own software.

    schema = 1
    unit = "quadratic"
    units = {A = 128, B = 128}
    weight_range = [-1.0, 1.0]
    weight_bits = 8

A key that is not known is refused: a misspelt limit would be no limit. What is left out has no limit.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import attrs
import tomli
import tomli_w

from eb_core.registry import UsageError, configurable, fields, option
from eb_core.registry.options import structure

SCHEMA: Final = 1
ANY: Final = "any"
"""Unit of a device that takes every energy."""
TURN: Final = (0.0, 2 * math.pi)
NOTHING: Final[tuple[Any, ...]] = (None, "", {})
"""Values that say nothing of a device."""


@configurable
class Capabilities:
    """Units, couplings, drives and read-out of a device, its speed and its power."""

    unit: str = option(
        default="quadratic",
        help="physics of a unit, that of the energy: quadratic (hopfield), phase (oim), amplitude (cim), or the word"
        " of another energy, its `unit`; any, where the device takes every energy",
    )
    units: Mapping[str, int] | None = option(
        default=None, help="number of units of each column; none: as many as needed", unit="units", ge=1
    )
    topology: Literal["any", "bipartite", "chain"] = option(
        default="any",
        help="which units can be coupled: any two; those of different columns; those of neighbouring columns",
    )
    self_terms: bool = option(
        default=False, help="whether couplings may add to the curvature of a unit, as resistors do"
    )
    ranges: Mapping[str, tuple[float, ...]] = option(
        default={},
        help="lowest and highest state of hidden and of output units as the device reports them. They stand for the"
        " ends of the energy's domain; where it has none, states are reported as they are",
    )
    inputs: Literal["fields", "units"] = option(
        default="fields",
        help="whether it gets what the input drives as fields, or the input itself and multiplies with couplings",
    )
    input_lines: int | None = option(default=None, help="number of inputs; none: as many as needed", ge=1)
    weight_range: tuple[float, ...] | None = option(default=None, help="lowest and highest coupling")
    weight_bits: int | None = option(default=None, help="of a coupling: 2^bits levels over its range", ge=1, le=52)
    field_range: tuple[float, ...] | None = option(default=None, help="lowest and highest field of a unit")
    field_bits: int | None = option(default=None, help="of a field: 2^bits levels over its range", ge=1, le=52)
    readout_bits: int | None = option(
        default=None, help="of a state that is read: 2^bits levels over its range, or around the circle", ge=1, le=52
    )
    readout_noise: float = option(default=0.0, help="standard deviation of one read, of the width of the range", ge=0)
    nudge: Literal["none", "current", "quadratic"] = option(
        default="quadratic",
        help="what can pull on outputs: nothing; a constant current, -beta dC/dr at the free state; beta (y - r)",
    )
    clamp: Literal["none", "layers", "units"] = option(
        default="none", help="what can be held at a value: nothing, a layer as a whole, single units"
    )
    starts: tuple[Literal["reset", "last", "write"], ...] = option(
        default=("reset",), help="where a phase can start: at rest, where the device stands, at any state"
    )
    stacks_phases: bool = option(default=False, help="whether samples of one batch may have nudges of their own")
    max_batch: int | None = option(default=None, help="samples of one call", unit="samples", ge=1)
    stochastic: bool = option(default=False, help="whether the same drive may settle to another state the next time")
    settle_seconds: float | None = option(
        default=None, help="device time of one settle of the samples that settle at once", unit="s", gt=0
    )
    at_once: int = option(default=1, help="samples that settle at the same time", unit="samples", ge=1)
    program_seconds: float | None = option(default=None, help="device time of one programming", unit="s", ge=0)
    programs_per: Literal["update", "settle"] = option(
        default="update", help="how often it is programmed: once for each update, or again for each settle"
    )
    watts: float | None = option(default=None, help="power while it settles or is programmed", unit="W", gt=0)
    serial: str = option(default="", help="which device was probed")
    dated: str = option(default="", help="when it was probed")

    def __attrs_post_init__(self) -> None:
        ranges = {"weight_range": self.weight_range, "field_range": self.field_range}
        ranges |= {f"ranges.{role}": ends for role, ends in self.ranges.items()}
        for name, ends in ranges.items():
            if ends is not None and (len(ends) != 2 or ends[0] >= ends[1]):
                raise ValueError(f"{name} must be [lowest, highest], not {list(ends)}")
        for role in self.ranges:
            if role not in ("hidden", "output"):
                raise ValueError(f"ranges are those of hidden and output units, not of '{role}'")
        for bits in ("weight", "field"):
            if getattr(self, f"{bits}_bits") is not None and getattr(self, f"{bits}_range") is None:
                raise ValueError(f"{bits}_bits = {getattr(self, f'{bits}_bits')} needs {bits}_range, which it divides")
        if self.units is not None and not self.units:
            raise ValueError("units must name at least one column; leave it out for as many units as needed")
        if not self.starts:
            raise ValueError("starts must name at least one of reset, last and write")
        if self.topology == "bipartite" and self.units is not None and len(self.units) != 2:
            raise ValueError(f"topology = bipartite needs two columns of units, not {len(self.units)}")

    @property
    def size(self) -> int | None:
        """Number of units, or None for as many as needed."""
        return None if self.units is None else sum(self.units.values())

    def seconds_of(self, samples: int) -> float | None:
        """Device time of one settle of so many samples."""
        if self.settle_seconds is None:
            return None
        return self.settle_seconds * math.ceil(samples / self.at_once)


def read_capabilities(path: Path) -> Capabilities:
    """The capabilities in a TOML file.

    Raises:
        UsageError: with everything that is wrong with it.
    """
    try:
        values = tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the capabilities cannot be read: {error.strerror or error}", origin=str(path)) from None
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the capabilities are no TOML: {error}", origin=str(path)) from None
    return parse_capabilities(values, str(path))


def parse_capabilities(values: Mapping[str, Any], origin: str) -> Capabilities:
    """The capabilities that a table says; `origin` is where it comes from.

    Raises:
        UsageError: with everything that is wrong with it.
    """
    values = dict(values)
    schema = values.pop("schema", None)
    if schema != SCHEMA:
        what = "say no schema" if schema is None else f"are of schema {schema}"
        raise UsageError(
            f"the capabilities {what}, and this version reads {SCHEMA}", origin=origin, advice=f"schema = {SCHEMA}"
        )
    said = {key: (one, origin) for key, one in values.items()}
    capabilities, _, faults = structure(Capabilities, said, "the capabilities")
    if capabilities is None:
        raise UsageError(*(attrs.evolve(fault, origin=origin) for fault in faults))
    return capabilities


def written(capabilities: Capabilities) -> str:
    """The text of a file that `read_capabilities` reads again: everything that is said."""
    values = {field.name: getattr(capabilities, field.name) for field, _ in fields(Capabilities)}
    said = {name: _plain(value) for name, value in values.items() if value not in NOTHING}
    return tomli_w.dumps({"schema": SCHEMA, **said})


def _plain(value: Any) -> Any:
    """TOML knows no tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def described(capabilities: Capabilities) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of everything that is said."""
    rows = []
    for field, spec in fields(Capabilities):
        value = getattr(capabilities, field.name)
        if value not in NOTHING:
            rows.append((field.name, _shown(value), spec.help))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(one)}" for key, one in value.items())
    if isinstance(value, tuple):
        numbers = len(value) == 2 and all(isinstance(one, float) for one in value)
        return f"{value[0]:g} … {value[1]:g}" if numbers else ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
