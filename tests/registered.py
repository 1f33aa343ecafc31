"""Everything registered, with default options: what the tables of identities run over."""

from typing import Any

from eb_core import Registry, Setup
from eb_core.learning.fit import misfit

REGISTRY = Registry.installed()


def names(kind: str) -> list[str]:
    """Registered names of a kind, from every plugin."""
    found = REGISTRY.names(kind)
    assert found, f"no {kind} is registered: the table would be empty"
    return found


def make(kind: str, name: str, **options: Any) -> Any:
    """A component with its preset and these options."""
    component = REGISTRY.find(kind, name)
    return REGISTRY.load(kind, component)(**{**component.preset, **options})


def fitting_relaxers() -> list[tuple[str, str]]:
    """Pairs (relaxer, energy) that make sense together."""
    return [
        (relaxer, energy)
        for relaxer in names("relaxer")
        for energy in names("energy")
        if misfit(Setup(relaxer=make("relaxer", relaxer), energy=make("energy", energy))) is None
    ]
