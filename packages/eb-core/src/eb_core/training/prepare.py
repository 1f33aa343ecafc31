"""From layers of settings to a checked configuration: every problem is reported before data is loaded."""

from collections.abc import Sequence

import attrs
import torch

from eb_core.data.data import Dataset
from eb_core.device.dynamics import OnDevice
from eb_core.learning.fit import OTHERS, refusals
from eb_core.registry import Configuration, Fault, Registry, Section, SettingsLayer, UsageError, resolve_layers
from eb_core.registry.recipes import SECTIONS, TRAINER
from eb_core.registry.setup import Setup
from eb_core.registry.wording import shown, told
from eb_core.training.build import make_network
from eb_core.training.idle import idle_notes
from eb_core.training.settings import TrainerSettings
from eb_core.training.streams import stream


def configure(registry: Registry, layers: Sequence[SettingsLayer], kinds: Sequence[str] = SECTIONS) -> Configuration:
    """Resolve `layers` (lowest first), then ask every part whether it fits the others, and note options that are idle.

    Raises:
        UsageError: with all faults of all sections.
        PluginError: a plugin that is needed cannot be used.
    """
    configuration, faults = resolve_layers(registry, layers, kinds)
    configuration = _with_own_dynamics(configuration, layers, faults)
    faults += _misfits(configuration)
    faults += [] if faults else _misfits_of_network(configuration)
    if TRAINER in configuration.sections:
        faults += _device_faults(configuration[TRAINER])
    if faults:
        raise UsageError(*faults)
    return attrs.evolve(configuration, notes=(*configuration.notes, *idle_notes(configuration, layers)))


def _with_own_dynamics(
    configuration: Configuration, layers: Sequence[SettingsLayer], faults: list[Fault]
) -> Configuration:
    """The configuration with the device in place of a relaxer, where the backend settles by a dynamics of its own."""
    backend = configuration.sections.get("backend")
    if backend is None or backend.instance is None or not backend.instance.own_dynamics:
        return configuration
    asked = [layer for layer in layers if not layer.is_recipe]
    origins = [origin for layer in asked for _, origin in layer.sections.get("relaxer", {}).values()]
    origins += ["relaxer=" for layer in asked if "relaxer" in layer.instances]
    if origins:
        what = f"backend '{backend.name}' settles by itself, and a relaxer would do nothing"
        faults.append(Fault(what, origins[0], "leave the relaxer out, or choose another backend"))
    section = Section(backend.name, {}, OnDevice(), is_chosen=False)
    return attrs.evolve(configuration, sections={**configuration.sections, "relaxer": section})


def _misfits(configuration: Configuration) -> list[Fault]:
    sections = {kind: section for kind, section in configuration.sections.items() if kind in OTHERS}
    setup = Setup(**{kind: section.instance for kind, section in sections.items() if section.instance is not None})
    return refusals(setup, {kind: section.name for kind, section in sections.items()})


def _misfits_of_network(configuration: Configuration) -> list[Fault]:
    """What does not fit the network with its first weights, where its shapes are known before data are loaded."""
    sections = configuration.sections
    if not {*OTHERS, "dataset", TRAINER} <= {*sections} or any(sections[kind].instance is None for kind in sections):
        return []
    dataset: Dataset = configuration["dataset"]
    form, settings = dataset.known_form(), configuration[TRAINER]
    if form is None:
        return []
    shape, classes = form
    generator, dtype = stream(settings.seed, "init"), getattr(torch, settings.dtype)
    parts = {kind: configuration[kind] for kind in OTHERS}
    try:
        network = make_network(
            parts["model"], parts["energy"], shape, parts["cost"].outputs(classes), generator=generator, dtype=dtype
        )
    except UsageError as error:
        return list(error.faults)
    return refusals(Setup(**parts, network=network), {kind: sections[kind].name for kind in OTHERS})


def _device_faults(settings: TrainerSettings) -> list[Fault]:
    try:
        torch.ones(1, device=settings.device, dtype=getattr(torch, settings.dtype)).add(1).item()
    except Exception as error:  # noqa: BLE001 - an odd name makes torch raise anything, ModuleNotFoundError too
        reason = (told(error).partition(": ")[2]).partition(". ")[0]
        what = f"device {shown(settings.device)} cannot be used: {reason}"
        return [Fault(what, "[trainer] device", "use --device cpu")]
    return []
