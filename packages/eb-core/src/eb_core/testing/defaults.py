"""What a component is checked with where nobody says: the parts of a run without options, as far as they fit."""

from typing import Any

from eb_core.learning.fit import misfit
from eb_core.physics.energy import Energy
from eb_core.registry import Registry, SettingsLayer, UsageError, resolve_layers
from eb_core.registry.setup import Setup
from eb_core.settling.relaxer import Relaxer


def default_part(registry: Registry, kind: str, name: str | None = None) -> Any:
    """A component at the options that a run without options has.

    Raises:
        UsageError: nothing of this kind is installed, or it needs an option.
    """
    layer = SettingsLayer({} if name is None else {kind: {"name": (name, "the default")}})
    configuration, faults = resolve_layers(registry, [layer], [kind])
    if faults:
        raise UsageError(*faults)
    return configuration[kind]


def default_first(registry: Registry, kind: str) -> list[str]:
    """Names of all components of a kind, that of a run without options first."""
    default = registry.default(kind)
    return list(dict.fromkeys((*(default[:1] if default else ()), *registry.names(kind))))


def fitting_energy(registry: Registry, relaxer: Relaxer) -> Energy:
    """The default energy if the dynamics takes it, else the first installed one that it takes.

    Raises:
        UsageError: there is none.
    """
    reasons = []
    for name in default_first(registry, "energy"):
        try:
            energy: Energy = default_part(registry, "energy", name)
        except UsageError as error:
            reasons.append(f"{name}: {error.faults[0].what}")
            continue
        reason = misfit(Setup(energy=energy, relaxer=relaxer))
        if reason is None:
            return energy
        reasons.append(f"{name}: {reason}")
    raise UsageError(
        f"no energy that is installed fits {type(relaxer).__name__} ({'; '.join(reasons) or 'none is installed'})",
        origin="--energy",
        advice="name one, with the options that it needs",
    )


def fitting_relaxer(registry: Registry, energy: Energy) -> Relaxer:
    """The default relaxer if it takes the energy, else the first installed one that does.

    Raises:
        UsageError: there is none.
    """
    for name in default_first(registry, "relaxer"):
        try:
            relaxer: Relaxer = default_part(registry, "relaxer", name)
        except UsageError:
            continue
        if misfit(Setup(energy=energy, relaxer=relaxer)) is None:
            return relaxer
    raise UsageError(
        f"no relaxer that is installed fits {type(energy).__name__}", origin="--relaxer", advice="name one"
    )
