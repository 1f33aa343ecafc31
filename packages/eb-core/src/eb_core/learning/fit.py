"""Do all parts fit each other: every one is asked, and what they say becomes faults and notices."""

from collections.abc import Iterator, Mapping

import attrs

from eb_core.registry import Fault, UsageError
from eb_core.registry.setup import Diagnostic, Setup, refuse

OTHERS: Mapping[str, tuple[str, ...]] = {
    "energy": ("model",),
    "relaxer": ("energy",),
    "cost": ("energy",),
    "rule": ("energy", "cost"),
    "model": ("energy",),
    "backend": ("relaxer", "energy"),
}
"""Which kinds a component is judged by before there is a network, unless it names them; then it is the network."""


def diagnose(setup: Setup) -> Iterator[tuple[str, tuple[str, ...], Diagnostic]]:
    """What every part says: its kind, the kinds that it says it of, and the diagnostic; each once."""
    said: set[tuple[str, str]] = set()
    stages = [attrs.evolve(setup, network=None)] + ([setup] if setup.network is not None else [])
    for stage in stages:
        for kind, part in stage.parts():
            for diagnostic in (*_force(kind, stage), *part.check(stage)):
                if (kind, diagnostic.what) not in said:
                    said.add((kind, diagnostic.what))
                    others = diagnostic.of or (OTHERS[kind] if stage.network is None else ("model",))
                    unasked = {kind, "relaxer"} if stage.backend and stage.backend.own_dynamics else {kind}
                    yield kind, tuple(other for other in others if other not in unasked), diagnostic


def _force(kind: str, setup: Setup) -> Iterator[Diagnostic]:
    """What holds for every dynamics: one that follows a force needs units that have one."""
    relaxer, energy = setup.relaxer, setup.energy
    if kind != "relaxer" or relaxer is None or energy is None or energy.differentiable:
        return
    if relaxer.properties().needs_force:
        name = type(energy).__name__
        yield refuse(
            f"it follows a force, and units of {name} have none: use a relaxer that minimises units, or a sampler"
        )


def refusals(setup: Setup, names: Mapping[str, str] | None = None) -> list[Fault]:
    """One fault for each reason to refuse.

    Args:
        setup: the parts that are to work together.
        names: kind -> name of a component, where the user has chosen it by name.
    """
    names = names or {}
    return [
        Fault(
            f"{_called(kind, names)} does not fit {' with '.join(_called(other, names) for other in others)}: "
            + diagnostic.what,
            ", ".join(f"--{part}" for part in (kind, *others)) if names else "",
            f"choose another {' or '.join((kind, *others))}, or change the option",
        )
        for kind, others, diagnostic in diagnose(attrs.evolve(setup, with_notices=False))
        if diagnostic.severity == "refuse"
    ]


def require_fit(setup: Setup) -> None:
    """Refuse a setup whose parts do not fit each other.

    Raises:
        UsageError: with every reason.
    """
    faults = refusals(setup)
    if faults:
        raise UsageError(*faults)


def misfit(setup: Setup) -> str | None:
    """The first reason to refuse, or None."""
    setup = attrs.evolve(setup, with_notices=False)
    return next((said.what for *_, said in diagnose(setup) if said.severity == "refuse"), None)


def notices(setup: Setup) -> list[str]:
    """What there is to know before work starts."""
    return list(dict.fromkeys(said.what for *_, said in diagnose(setup) if said.severity == "notice"))


def _called(kind: str, names: Mapping[str, str]) -> str:
    return f"{kind} '{names[kind]}'" if kind in names else f"this {kind}"
