"""What the fuzzers try: values for every registered option, usual, extreme and wrong; names nearly right; odd texts.

Everything is drawn from the registry and from the command itself, so a new option, component or flag is tried without
a change here. A value is a text as it is typed, which is also how TOML writes it, apart from text without quotes.
"""

import math
import random
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import attrs
import tomli
import tomli_w
import typer
from fuzz_texts import FOREIGN, NUMBERS, OTHER_TYPES, PATHS, TEXTS

from eb_core import Registry, Setup
from eb_core.cli.main import app
from eb_core.learning.fit import misfit
from eb_core.registry import KINDS, fields
from eb_core.registry.options import OptionSpec, default_of, option_types, structure
from eb_core.registry.recipes import TRAINER
from eb_core.registry.text import arms_of
from eb_core.training.settings import TrainerSettings


@attrs.frozen
class Value:
    """A value as typed; `heavy` if it may be accepted and take long: a large whole number."""

    text: str
    heavy: bool = False


@attrs.frozen
class Option:
    """What the registry knows of one option."""

    name: str
    kind: Any
    spec: OptionSpec
    default: Any


class Known:
    """Names, options and flags of what is installed."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.names = {kind: registry.names(kind) for kind in (*KINDS, "recipe")}
        self.defaults = {kind: one[0] for kind in KINDS if (one := registry.default(kind))}
        self.commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        self.fitting = [
            (relaxer, energy)
            for relaxer in self.names["relaxer"]
            for energy in self.names["energy"]
            if misfit(Setup(relaxer=self._made("relaxer", relaxer), energy=self._made("energy", energy))) is None
        ]

    def _made(self, kind: str, name: str) -> Any:
        component = self.registry.find(kind, name)
        preset = {key: (value, "") for key, value in component.preset.items()}
        return structure(self.registry.load(kind, component), preset, name)[0]

    def options(self, kind: str, name: str) -> list[Option]:
        """The options of a registered component, or of the trainer."""
        cls: type = TrainerSettings
        if kind != TRAINER:
            cls = self.registry.load(kind, self.registry.find(kind, name))
        kinds = option_types(cls)
        return [Option(field.name, kinds[field.name], spec, default_of(field)) for field, spec in fields(cls)]


def mistyped(chance: random.Random, name: str) -> str:
    """A name as one mistypes it."""
    at = chance.randrange(max(len(name), 1))
    before, sign, after = name[:at], name[at : at + 1], name[at + 1 :]
    other = before + chance.choice("xyz-_\u00e9\x1b") + after
    whole = (name.upper(), f" {name}", name.replace("-", "_") + "s", name[:2])
    return chance.choice([before + after, before + sign * 2 + after, other, *whole])


def name(chance: random.Random, names: list[str], *, fair: bool) -> str:
    """One of `names`; if not `fair`, perhaps nearly one, a class by its path, or anything."""
    roll = chance.random()
    if fair or roll < 0.4:
        return chance.choice(names)
    if roll < 0.6:
        return mistyped(chance, chance.choice(names))
    return chance.choice(FOREIGN if roll < 0.7 else TEXTS)


def value(chance: random.Random, option: Option, *, fair: bool) -> Value:
    """A value for an option: usual or extreme; if not `fair`, also of another type, or anything."""
    roll = chance.random() if not fair else chance.uniform(0, 0.7)
    if roll < 0.35:
        return Value(usual(chance, option.kind, option))
    if roll < 0.7:
        return extreme(chance, option, fair=fair)
    return Value(chance.choice(OTHER_TYPES if roll < 0.82 else TEXTS))


def usual(chance: random.Random, kind: Any, option: Option) -> str:
    """A value that may well be accepted and costs little time."""
    arms = [arm for arm in arms_of(kind) if arm is not type(None)]
    if len(arms) < len(arms_of(kind)) and chance.random() < 0.2:
        return "none"
    kind = chance.choice(arms)
    if get_origin(kind) is Literal:
        return str(chance.choice(get_args(kind)))
    if get_origin(kind) is tuple:
        inner = [usual(chance, get_args(kind)[0], option) for _ in range(chance.randint(0, 3))]
        return f"[{', '.join(inner if get_args(kind)[0] in (int, float) else map(quoted, inner))}]"
    if _is_table(kind):
        return '{"edges.*" = ' + usual(chance, get_args(kind)[1], option) + "}"
    return _plain(chance, kind, option)


def _plain(chance: random.Random, kind: type, option: Option) -> str:
    """A usual number, text or truth."""
    spec = option.spec
    low = max((bound for bound in (spec.gt, spec.ge) if bound is not None), default=0)
    high = min((bound for bound in (spec.lt, spec.le) if bound is not None), default=max(low, 1.0) * 2)
    if kind is bool:
        return chance.choice(["true", "false"])
    if kind is int:
        return str(int(low) + chance.choice([0, 1, 2, 3]))
    if kind is float:
        near = isinstance(option.default, float) and chance.random() < 0.5
        return repr(option.default * chance.uniform(0.5, 1.5) if near else chance.uniform(low, high))
    files = [path for path in PATHS if path.startswith("../data/")]
    return chance.choice(files) if option.name == "file" else str(option.default or "cpu")


def extreme(chance: random.Random, option: Option, *, fair: bool) -> Value:
    """A number at the bounds of the option or of the machine, admitted if `fair`; longer lists of such."""
    arms = arms_of(option.kind)
    inner = {one for arm in arms for one in (arm, *get_args(arm))}
    if not inner & {int, float}:
        return Value(usual(chance, option.kind, option))
    spec = option.spec
    bounds = [bound for bound in (spec.gt, spec.ge, spec.lt, spec.le) if bound is not None]
    texts = [*NUMBERS, *(repr(type(bound)(bound + shift)) for bound in bounds for shift in (0, -1, 1, 1e-9))]
    if fair:
        texts = [one for one in texts if admitted(one, whole=float not in inner, spec=option.spec)]
    if int in inner and chance.random() < 0.9:
        texts = [one for one in texts if len(one) < 4]
    text = chance.choice(texts)
    large = int in inner and len(text) > 3
    if any(get_origin(arm) is tuple for arm in arms):
        count = chance.choice([1, 2, 40])
        large |= count > 2
        text = f"[{', '.join([text] * count)}]"
    elif any(_is_table(arm) for arm in arms):
        text = '{"*" = ' + text + "}"
    return Value(text, large)


def _is_table(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def admitted(text: str, *, whole: bool, spec: OptionSpec) -> bool:
    """Whether an option with these bounds takes the number."""
    try:
        number = int(text) if whole else float(text)
        return math.isfinite(number) and spec.admits(number)
    except (ValueError, OverflowError):
        return False


def as_toml(text: str) -> str:
    """The text of a value in a recipe: itself if it is TOML, else in quotes."""
    try:
        tomli.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return quoted(text)
    return text


def quoted(text: str) -> str:
    """A TOML string; half a surrogate has no place in one."""
    return tomli_w.dumps({"value": text.encode("utf-8", "replace").decode()}).removeprefix("value = ").rstrip("\n")
