"""Options that were asked for and do nothing with the others: said, each in one line.

An option is asked for if somebody wrote it (a flag, a recipe that was named, Python), not if the default recipe of the
model did, and if its value is not its default.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from eb_core.learning.rule import Rule
from eb_core.registry import Configuration, SettingsLayer, fields
from eb_core.registry.conditions import hindrance, shown
from eb_core.registry.conform import OptionSpec
from eb_core.registry.options import default_of

SETTLING = ("relaxer", "backend")
"""Kinds whose options act while phases settle."""


def idle_notes(configuration: Configuration, layers: Sequence[SettingsLayer]) -> list[str]:
    """One line for each option that is asked for in `layers` and does nothing."""
    notes = []
    rule = configuration["rule"] if "rule" in configuration.sections else None
    for kind, section in configuration.sections.items():
        values = {name: value for name, (value, _) in section.values.items()}
        asked = _asked(section.values, kind, layers, section.instance)
        idle: dict[str, list[str]] = {}
        for name, spec in asked.items():
            reason = hindrance(spec.only_with, values)
            if reason is None and kind in SETTLING and isinstance(rule, Rule):
                reason = _unsettled(spec, rule, configuration.sections["rule"].name)
            if reason:
                idle.setdefault(reason, []).append(f"{name} = {shown(values[name])}")
        place = "" if kind == "trainer" else f" of the {kind}"
        notes += [
            f"{', '.join(options)}{place} {'do' if len(options) > 1 else 'does'} nothing with {reason}"
            for reason, options in idle.items()
        ]
    return notes


def _asked(
    values: Mapping[str, tuple[Any, str]], kind: str, layers: Sequence[SettingsLayer], instance: Any
) -> dict[str, OptionSpec]:
    """Options whose value somebody gave and that is not the default."""
    origins = {origin for layer in layers for _, origin in layer.sections.get(kind, {}).values()}
    if any(kind in layer.instances for layer in layers):
        origins.add("Python")
    return {
        field.name: spec
        for field, spec in fields(type(instance))
        if values[field.name][1] in origins and values[field.name][0] != default_of(field)
    }


def _unsettled(spec: OptionSpec, rule: Rule, name: str) -> str | None:
    """Why an option of a relaxer or backend does nothing under this rule, or None."""
    if not rule.phases:
        return f"rule = {name}, which settles nothing"
    if spec.phases and not set(spec.phases) & set(rule.phases):
        return f"rule = {name}, which settles no {' and no '.join(spec.phases)} phase"
    return None
