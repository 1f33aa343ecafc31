"""Recipes: TOML over all kinds, laid over one another, every value with its origin.

    [model]
    name = "mlp"
    hidden = [120]

    [rule]
    name = "c-ep"
    beta = 0.2

    [trainer]
    epochs = 10

Layers, lowest first: option defaults, the preset of a component's name, the default recipe of the model
(unless a recipe that names its model is given), `--recipe` in the order given, the command line.
"""

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
import tomli
import tomli_w

from eb_core.registry.catalog import Registry, resolve
from eb_core.registry.component import KINDS, Component
from eb_core.registry.errors import Fault, PluginError, UsageError, did_you_mean
from eb_core.registry.options import default_of, fields, structure

TRAINER: Final = "trainer"
TRAINER_TARGET: Final = "eb_core.training.settings:TrainerSettings"
SECTIONS: Final = (*KINDS, TRAINER)

BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model": "mlp",
        "energy": "hopfield",
        "relaxer": "hopfield",
        "rule": "c-ep",
        "cost": "squared-error",
        "dataset": "digits",
        "backend": "simulator",
    }
)
"""What a run uses where neither a recipe nor the command names a component."""

Values = dict[str, tuple[Any, str]]
"""Option name -> (value, origin in words)."""


@attrs.frozen
class Layer:
    """One source of settings: per section its values with their origins, or a ready-made instance.

    Args:
        is_recipe: a recipe that names its model stands by itself: the model's default recipe is left out.
    """

    sections: Mapping[str, Values] = attrs.field(factory=dict)
    instances: Mapping[str, Any] = attrs.field(factory=dict)
    is_recipe: bool = False

    def name_of(self, kind: str) -> str | None:
        """The component that this layer names for a kind."""
        value, _ = self.sections.get(kind, {}).get("name", (None, ""))
        return value if isinstance(value, str) else None


@attrs.frozen
class Section:
    """One resolved part of a run: its component, all its options with origins, and the instance."""

    name: str
    values: Values
    instance: Any

    def written(self) -> dict[str, Any]:
        """The section as TOML values: every option, so that a later change of a default cannot matter."""
        table: dict[str, Any] = {} if not self.name else {"name": self.name}
        for name, (value, _) in self.values.items():
            if value is not None:
                table[name] = list(value) if isinstance(value, tuple) else value
            elif default_of(getattr(attrs.fields(type(self.instance)), name)) is not None:
                table[name] = "none"
        return table


@attrs.frozen
class Configuration:
    """A run, resolved: one section for each kind and one for the trainer."""

    sections: Mapping[str, Section]
    notes: tuple[str, ...] = ()

    def __getitem__(self, kind: str) -> Any:
        """The instance of a kind."""
        return self.sections[kind].instance

    def table(self) -> dict[str, dict[str, Any]]:
        """Everything as plain values, by section."""
        return {kind: section.written() for kind, section in self.sections.items()}

    def to_toml(self) -> str:
        """A recipe file that reproduces this run."""
        return tomli_w.dumps(self.table())

    def origins(self) -> dict[str, dict[str, str]]:
        """Where each value came from, by section and option."""
        return {
            kind: {name: origin for name, (_, origin) in section.values.items()}
            for kind, section in self.sections.items()
        }


def read_recipe(registry: Registry, name: str) -> Layer:
    """The recipe called `name`, or the one in the file at the path `name` (ends in .toml).

    Raises:
        UsageError: no such recipe or file, no TOML, or unknown sections (all of them are named).
    """
    if name.endswith(".toml"):
        path, origin = Path(name), name
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"recipe file cannot be read: {error}", origin=f"--recipe {name}", advice="check the path"
            ) from None
    else:
        origin = f"recipe '{name}'"
        text = recipe_text(registry.find("recipe", name, f"--recipe {name}"))
    return parse_recipe(text, origin)


def recipe_text(component: Component) -> str:
    """The TOML of a recipe that a package brings.

    Raises:
        PluginError: the package does not hold the file that it registered.
    """
    package, _, inside = component.target.partition(":")
    try:
        return importlib.resources.files(package).joinpath(inside).read_text(encoding="utf-8")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(
            f"recipe '{component.name}' cannot be read: {type(error).__name__}: {error}",
            origin=component.target,
            advice="mend the package",
        ) from error


def parse_recipe(text: str, origin: str) -> Layer:
    """TOML text as a layer; `origin` says where it is from."""
    try:
        document = tomli.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not valid TOML: {error}", origin=origin, advice="mend the file at that place") from None
    faults = []
    sections: dict[str, Values] = {}
    for section, table in document.items():
        if section not in SECTIONS:
            faults.append(Fault(f"unknown section [{section}]", origin, did_you_mean(section, SECTIONS)))
        elif not isinstance(table, dict):
            faults.append(Fault(f"'{section}' must be a table", origin, f'write [{section}] and name = "…" below it'))
        else:
            sections[section] = {key: (value, f"{origin} [{section}]") for key, value in table.items()}
    if faults:
        raise UsageError(*faults)
    return Layer(sections, is_recipe=True)


def resolve_layers(
    registry: Registry, layers: Sequence[Layer], kinds: Sequence[str] = SECTIONS
) -> tuple[Configuration, list[Fault]]:
    """Lay `layers` (lowest first) over the defaults and build every component.

    Returns:
        the configuration, lacking the sections that have faults, and all faults.

    Raises:
        PluginError: a named component belongs to a plugin that cannot be used; with all other faults.
    """
    built_in = Layer({kind: {"name": (name, "built-in default")} for kind, name in BUILT_IN.items()})
    stack = [built_in, *_default_recipe(registry, layers), *layers]
    faults: list[Fault] = []
    sections: dict[str, Section] = {}
    notes: list[str] = []
    in_plugins = False
    for kind in kinds:
        try:
            section, bad = _resolve_section(registry, stack, kind, notes)
        except (UsageError, PluginError) as error:
            in_plugins |= isinstance(error, PluginError)
            section, bad = None, list(error.faults)
        faults += bad
        if section:
            sections[kind] = section
    if in_plugins:
        raise PluginError(*faults)
    return Configuration(sections, tuple(notes)), faults


def _default_recipe(registry: Registry, layers: Sequence[Layer]) -> list[Layer]:
    """The recipe that the chosen model names, unless a recipe or an instance settles the matter."""
    if any("model" in layer.instances or (layer.is_recipe and layer.name_of("model")) for layer in layers):
        return []
    model = next((name for layer in reversed(layers) if (name := layer.name_of("model"))), BUILT_IN["model"])
    try:
        recipe = registry.recipe_of(registry.find("model", model))
    except (UsageError, PluginError):
        return []  # the model's own section reports it, together with all other faults
    return [read_recipe(registry, recipe)] if recipe else []


def _resolve_section(
    registry: Registry, stack: Sequence[Layer], kind: str, notes: list[str]
) -> tuple[Section | None, list[Fault]]:
    for layer in reversed(stack):
        if kind in layer.instances:
            return _section_of(registry, kind, layer.instances[kind]), []
    label = ""
    component: Component | None = None
    values: Values = {}
    for layer in stack:
        given = dict(layer.sections.get(kind, {}))
        if kind != TRAINER and "name" in given:
            name, origin = given.pop("name")
            if not isinstance(name, str):
                raise UsageError(f"name of the {kind} must be text, not {name!r}", origin=origin)
            chosen = registry.find(kind, name, origin)
            if component and chosen is not component:
                values = {key: one for key, one in values.items() if one[1] != f"preset '{label}'"}
            if component and chosen.target != component.target:
                if values:
                    notes.append(f"{kind} '{name}' replaces '{component.name}': {', '.join(values)} no longer apply")
                values = {}
            component = chosen
            values |= {key: (value, f"preset '{name}'") for key, value in chosen.preset.items()}
            label = name
        values |= given
    if kind == TRAINER:
        cls, owner = resolve(TRAINER_TARGET), "the trainer"
    else:
        assert component is not None, "the built-in layer names every kind"
        cls, owner = registry.load(kind, component), f"{kind} '{label}'"
    instance, good, faults = structure(cls, values, owner)
    if instance is None:
        return None, faults
    origins = {name: (value, values[name][1] if name in values else "default") for name, value in good.items()}
    return Section(label, origins, instance), faults


def _section_of(registry: Registry, kind: str, instance: Any) -> Section:
    """A section for an instance made in Python, under its registered name if it has one."""
    cls = type(instance)
    contract = resolve(TRAINER_TARGET if kind == TRAINER else KINDS[kind])
    if not isinstance(instance, contract):
        raise UsageError(
            f"the {kind} must be a name, a mapping or an instance of {contract.__name__}, not {instance!r}",
            origin=f"{kind}=",
            advice="call the class to make an instance" if isinstance(instance, type) else "",
        )
    target = f"{cls.__module__}:{cls.__qualname__}"
    values = {field.name: (getattr(instance, field.name), "Python") for field, _ in fields(cls)}
    name = "" if kind == TRAINER else target
    for offer in registry.offers(kind):
        preset = offer.component.preset
        if offer.component.target == target and all(values.get(key, ("",))[0] == one for key, one in preset.items()):
            name = offer.component.name
            break
    return Section(name, values, instance)
