"""From layers of settings to a checked configuration: every problem is reported before data is loaded."""

from collections.abc import Mapping, Sequence

import attrs
import torch

from eb_core.learning.backend import Backend
from eb_core.learning.rule import Rule
from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry import Configuration, Fault, Registry, SettingsLayer, UsageError, resolve_layers
from eb_core.registry.recipes import SECTIONS, TRAINER
from eb_core.registry.wording import shown, told
from eb_core.settling.relaxer import Relaxer
from eb_core.training.idle import idle_notes
from eb_core.training.settings import TrainerSettings


def configure(registry: Registry, layers: Sequence[SettingsLayer], kinds: Sequence[str] = SECTIONS) -> Configuration:
    """Resolve `layers` (lowest first), then ask every part whether it fits the others, and note options that are idle.

    Raises:
        UsageError: with all faults of all sections.
        PluginError: a plugin that is needed cannot be used.
    """
    configuration, faults = resolve_layers(registry, layers, kinds)
    faults += _misfits(configuration)
    if TRAINER in configuration.sections:
        faults += _device_faults(configuration[TRAINER])
    if faults:
        raise UsageError(*faults)
    return attrs.evolve(configuration, notes=(*configuration.notes, *idle_notes(configuration, layers)))


def _misfits(configuration: Configuration) -> list[Fault]:
    parts = {kind: section.instance for kind, section in configuration.sections.items()}
    energy, relaxer, rule = parts.get("energy"), parts.get("relaxer"), parts.get("rule")
    cost, backend = parts.get("cost"), parts.get("backend")
    reasons: list[tuple[str, tuple[str, ...], str | None]] = []
    if isinstance(energy, Energy):
        if isinstance(relaxer, Relaxer):
            reasons.append(("relaxer", ("energy",), relaxer.misfit(energy)))
            if isinstance(backend, Backend):
                reasons.append(("backend", ("relaxer", "energy"), backend.why_not(energy, relaxer)))
        if isinstance(cost, Cost):
            reasons.append(("cost", ("energy",), cost.why_not(energy)))
            if isinstance(rule, Rule):
                reasons.append(("rule", ("energy",), rule.why_not(energy, cost)))
    names = {kind: section.name for kind, section in configuration.sections.items()}
    return [
        Fault(
            f"{one} '{names[one]}' does not fit {_listed(others, names)}: {why}",
            ", ".join(f"--{kind}" for kind in (one, *others)),
            f"choose another {' or '.join((one, *others))}, or change the option",
        )
        for one, others, why in reasons
        if why
    ]


def _listed(kinds: Sequence[str], names: Mapping[str, str]) -> str:
    return " with ".join(f"{kind} '{names[kind]}'" for kind in kinds)


def _device_faults(settings: TrainerSettings) -> list[Fault]:
    try:
        torch.ones(1, device=settings.device, dtype=getattr(torch, settings.dtype)).add(1).item()
    except Exception as error:  # noqa: BLE001 - an odd name makes torch raise anything, ModuleNotFoundError too
        reason = (told(error).partition(": ")[2]).partition(". ")[0]
        what = f"device {shown(settings.device)} cannot be used: {reason}"
        return [Fault(what, "[trainer] device", "use --device cpu")]
    return []
