"""From layers of settings to a checked configuration: every problem is reported before data is loaded."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch

from eb_core.data.data import Dataset
from eb_core.device.dynamics import OnDevice
from eb_core.learning.fit import OTHERS, refusals
from eb_core.learning.rule import Rule
from eb_core.registry import (
    Configuration,
    EbError,
    Fault,
    Registry,
    Section,
    SettingsLayer,
    UsageError,
    resolve_layers,
)
from eb_core.registry.recipes import SECTIONS, TRAINER
from eb_core.registry.setup import Setup
from eb_core.registry.wording import shown, told
from eb_core.training.build import make_network
from eb_core.training.idle import idle_notes
from eb_core.training.settings import TrainerSettings
from eb_core.training.start import Start
from eb_core.training.streams import stream


def configure(
    registry: Registry,
    layers: Sequence[SettingsLayer],
    kinds: Sequence[str] = SECTIONS,
    *,
    start: Start | None = None,
    learns: bool = True,
) -> Configuration:
    """Resolve `layers` (lowest first), then ask every part whether it fits the others, and note options that are idle.

    Args:
        registry: where components are looked up.
        layers: the settings.
        kinds: what is needed of them.
        start: the weights that work begins with; without it, fresh ones.
        learns: False where nothing is learnt: then a rule is judged only if it infers in a way of its own.

    Raises:
        UsageError: with all faults of all sections.
        PluginError: a plugin that is needed cannot be used.
    """
    alone = "backend" in kinds and _settles_by_itself(registry, layers)
    needed = [kind for kind in kinds if not (alone and kind == "relaxer")]  # one that is not here is not missed
    configuration, faults = resolve_layers(registry, layers, needed)
    if alone:
        configuration = _with_own_dynamics(configuration, layers, faults)
    judged = {kind: section.instance for kind, section in configuration.sections.items() if kind in OTHERS}
    if not learns and infers_by_settling(judged.get("rule")):
        del judged["rule"]
    faults += _misfits(configuration, judged)
    faults += [] if faults else _misfits_of_network(configuration, judged, start)
    if TRAINER in configuration.sections:
        faults += _device_faults(configuration[TRAINER])
    if faults:
        raise UsageError(*faults)
    return attrs.evolve(configuration, notes=(*configuration.notes, *idle_notes(configuration, layers)))


def _settles_by_itself(registry: Registry, layers: Sequence[SettingsLayer]) -> bool:
    """Whether the backend settles by a dynamics of its own; no, where it cannot be made, which others report."""
    try:
        section = resolve_layers(registry, layers, ["backend"])[0].sections.get("backend")
    except EbError:
        return False
    return section is not None and bool(section.instance.own_dynamics)


def _with_own_dynamics(
    configuration: Configuration, layers: Sequence[SettingsLayer], faults: list[Fault]
) -> Configuration:
    """The configuration with the device in place of a relaxer."""
    backend = configuration.sections["backend"]
    asked = [layer for layer in layers if not layer.is_recipe]
    origins = [origin for layer in asked for _, origin in layer.sections.get("relaxer", {}).values()]
    origins += ["relaxer=" for layer in asked if "relaxer" in layer.instances]
    if origins:
        what = f"backend '{backend.name}' settles by itself, and a relaxer would do nothing"
        faults.append(Fault(what, origins[0], "leave the relaxer out, or choose another backend"))
    section = Section(backend.name, {}, OnDevice(), is_chosen=False)
    return attrs.evolve(configuration, sections={**configuration.sections, "relaxer": section})


def infers_by_settling(rule: Rule | None) -> bool:
    """Whether a net that this rule has trained predicts by settling its free phase, on whatever backend."""
    return rule is not None and type(rule).infer is Rule.infer


def names_in(configuration: Configuration) -> dict[str, str]:
    """Kind -> name of every part that is asked whether it fits."""
    return {kind: section.name for kind, section in configuration.sections.items() if kind in OTHERS}


def _misfits(configuration: Configuration, parts: Mapping[str, Any]) -> list[Fault]:
    setup = Setup(**{kind: part for kind, part in parts.items() if part is not None})
    return refusals(setup, names_in(configuration))


def _misfits_of_network(configuration: Configuration, parts: Mapping[str, Any], start: Start | None) -> list[Fault]:
    """What does not fit the network with its first weights, where its shapes are known before data are loaded."""
    sections = configuration.sections
    needed = {*OTHERS, "dataset", TRAINER} - {"rule"}
    if not needed <= {*sections} or any(section.instance is None for section in sections.values()):
        return []
    dataset: Dataset = configuration["dataset"]
    form = dataset.known_form() or (start.form_for(configuration) if start else None)
    if form is None:
        return []
    shape, classes = form
    settings = configuration[TRAINER]
    generator, dtype = stream(settings.seed, "init"), getattr(torch, settings.dtype)
    try:
        network = make_network(
            parts["model"], parts["energy"], shape, parts["cost"].outputs(classes), generator=generator, dtype=dtype
        )
        if start:
            start.put(network)
    except UsageError as error:
        return list(error.faults)
    return refusals(Setup(**parts, network=network), names_in(configuration))


def _device_faults(settings: TrainerSettings) -> list[Fault]:
    try:
        torch.ones(1, device=settings.device, dtype=getattr(torch, settings.dtype)).add(1).item()
    except Exception as error:  # noqa: BLE001 - an odd name makes torch raise anything, ModuleNotFoundError too
        reason = (told(error).partition(": ")[2]).partition(". ")[0]
        what = f"device {shown(settings.device)} cannot be used: {reason}"
        return [Fault(what, "[trainer] device", "use --device cpu")]
    return []
