"""Lay settings over one another and build every component: from layers to a configuration.

Layers, lowest first: option defaults, the preset of a component's name, the default recipe of the model
(unless a recipe that names its model is given), `--recipe` in the order given, the command line.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from eb_core.registry.catalog import Registry, resolve
from eb_core.registry.component import KINDS, Component
from eb_core.registry.errors import EbError, Fault, PluginError, UsageError, gathered, raise_together
from eb_core.registry.options import default_of, fields, structure
from eb_core.registry.recipes import (
    SECTIONS,
    TRAINER,
    TRAINER_TARGET,
    Configuration,
    Section,
    SettingsLayer,
    Values,
    read_recipe,
)
from eb_core.registry.wording import shown


def resolve_layers(
    registry: Registry, layers: Sequence[SettingsLayer], kinds: Sequence[str] = SECTIONS
) -> tuple[Configuration, list[Fault]]:
    """Lay `layers` (lowest first) over the defaults and build every component.

    Returns:
        the configuration, lacking the sections that have faults, and all faults.

    Raises:
        PluginError: a named component belongs to a plugin that cannot be used; with all other faults.
    """
    defaults = _suite_defaults(registry)
    of_backend = _default_recipe(registry, [defaults, *layers], "backend")
    of_model = _default_recipe(registry, [defaults, *of_backend, *layers], "model")
    stack = [defaults, *of_model, *of_backend, *layers]
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
    doubtful = any(_is_doubtful(registry, kind, section) for kind, section in sections.items())
    return Configuration(sections, tuple(notes), ("--trust",) if doubtful else ()), faults


def _suite_defaults(registry: Registry) -> SettingsLayer:
    """What the installed suites use by default."""
    defaults = {kind: registry.default(kind) for kind in KINDS}
    return SettingsLayer({kind: {"name": (one[0], f"default of {one[1]}")} for kind, one in defaults.items() if one})


def _default_recipe(registry: Registry, layers: Sequence[SettingsLayer], kind: str) -> list[SettingsLayer]:
    """The recipe that the chosen model or backend names, unless a recipe or an instance settles the matter."""
    if any(kind in layer.instances or (layer.is_recipe and layer.name_of("model")) for layer in layers):
        return []
    chosen = next((name for layer in reversed(layers) if (name := layer.name_of(kind))), None)
    if chosen is None:
        return []
    try:
        recipe = registry.recipe_of(kind, registry.find(kind, chosen))
    except (UsageError, PluginError):
        return []  # its own section reports it, together with all other faults
    return [attrs.evolve(read_recipe(registry, recipe), is_default=True)] if recipe else []


def _resolve_section(
    registry: Registry, stack: Sequence[SettingsLayer], kind: str, notes: list[str]
) -> tuple[Section | None, list[Fault]]:
    for layer in reversed(stack):
        if kind in layer.instances:
            return _section_of(registry, kind, layer.instances[kind]), []
    if kind == TRAINER:
        cls, label, owner = resolve(TRAINER_TARGET), "", "the trainer"
        values = {key: one for layer in stack for key, one in layer.sections.get(kind, {}).items()}
        doubted = _doubted(stack, kind, values)
    else:
        component, label, values = _overlay(registry, stack, kind, notes)
        cls, owner = registry.load(kind, component), f"{kind} '{label}'"
        doubted = _doubted(stack, kind, values, component.preset)
    instance, good, faults = structure(cls, values, owner, doubted)
    if instance is None:
        return None, faults
    origins = {name: (value, values[name][1] if name in values else "default") for name, value in good.items()}
    return Section(label, origins, instance), faults


def _is_doubtful(registry: Registry, kind: str, section: Section) -> bool:
    """Whether a file must not say this without somebody's word: a class of no package, an address."""
    if kind == TRAINER:
        return False
    component = registry.find(kind, section.name)
    return not registry.knows(kind, component) or any(
        spec.reaches_out and section.values[field.name][0] not in (default_of(field), component.preset.get(field.name))
        for field, spec in fields(type(section.instance))
    )


def _doubted(
    stack: Sequence[SettingsLayer], kind: str, values: Values, preset: Mapping[str, Any] = {}
) -> dict[str, str]:
    """The options whose value nobody vouches for, with the way to do so: it is a file's, not that of the preset."""
    return {
        key: layer.vouch
        for key, value in values.items()
        for layer in stack
        if layer.vouch and layer.sections.get(kind, {}).get(key) is value
        if key not in preset or preset[key] != value[0]
    }


def _overlay(
    registry: Registry, stack: Sequence[SettingsLayer], kind: str, notes: list[str]
) -> tuple[Component, str, Values]:
    """The component named last, its name, and what all layers say about its options.

    A component named before it may be out of order or not installed: nobody needs it any more.
    """
    said = [dict(layer.sections.get(kind, {})) for layer in stack]
    unasked = {origin for layer in stack if layer.is_default for _, origin in layer.sections.get(kind, {}).values()}
    last = max((index for index, given in enumerate(said) if "name" in given), default=None)
    if last is None:
        known = registry.names(kind)
        raise UsageError(
            f"no {kind} is named, and no installed suite has a default",
            advice=f"name one: {', '.join(known)}" if known else f"install a package that brings a {kind}",
        )
    component: Component | None = None
    label, values = "", Values()
    for index, (given, layer) in enumerate(zip(said, stack, strict=True)):
        if "name" in given:
            name, origin = given.pop("name")
            if not isinstance(name, str):
                raise UsageError(f"name of the {kind} must be text, not {shown(name)}", origin=origin)
            errors: list[EbError] = []
            chosen = None
            with gathered(errors):
                chosen = registry.find(kind, name, origin)
                if layer.vouch and not registry.knows(kind, chosen):
                    what = f"{kind} {shown(name)} is not registered; a file may name no class, as its module would run"
                    cure = f"install its package, or, if you trust whoever wrote the file: {layer.vouch}"
                    raise UsageError(what, origin=origin, advice=cure)
            if index == last:
                raise_together(errors)
            typed = {key: one for key, one in values.items() if one[1] != f"preset '{label}'"}
            if component and chosen and chosen.target == component.target:
                values = typed
            else:
                lost = [key for key, one in typed.items() if one[1] not in unasked]
                if lost and name != label:
                    verb = "applies" if len(lost) == 1 else "apply"
                    notes.append(f"{kind} '{name}' replaces '{label}': {', '.join(lost)} no longer {verb}")
                values = {}
            component, label = chosen, name
            values |= {key: (value, f"preset '{name}'") for key, value in (chosen.preset if chosen else {}).items()}
        values |= given
    assert component is not None, "the last layer that names one sets it"
    return component, label, values


def _section_of(registry: Registry, kind: str, instance: Any) -> Section:
    """A section for an instance made in Python, under its registered name if it has one."""
    cls = type(instance)
    contract = resolve(TRAINER_TARGET if kind == TRAINER else KINDS[kind])
    if not isinstance(instance, contract):
        raise UsageError(
            f"the {kind} must be a name, a mapping or an instance of {contract.__name__}, not {shown(instance)}",
            origin=f"{kind}=",
            advice="call the class to make an instance" if isinstance(instance, type) else "",
        )
    target = f"{cls.__module__}:{cls.__qualname__}"
    values = {field.name: (getattr(instance, field.name), "Python") for field, _ in fields(cls)}
    offers = list(registry.offers(kind))
    fitting = [
        offer
        for offer in offers
        if offer.component.target == target
        and all(values.get(key, ("",))[0] == one for key, one in offer.component.preset.items())
    ]
    if not fitting:
        return Section("" if kind == TRAINER else target, values, instance)
    best = max(fitting, key=lambda offer: len(offer.component.preset))
    rivals = [offer for offer in offers if offer.component.name == best.component.name]
    return Section(best.component.name if len(rivals) == 1 else best.qualified, values, instance)
