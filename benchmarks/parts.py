"""Installed components by kind and name, for the scripts beside this file."""

from typing import Any

from eb_core import Registry

REGISTRY = Registry.installed()


def make(kind: str, name: str, **options: Any) -> Any:
    """A component with its preset and these options."""
    component = REGISTRY.find(kind, name)
    return REGISTRY.load(kind, component)(**{**component.preset, **options})
