"""What this package registers. It must not import torch."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_energies() -> list[Component]:
    return [
        Component("resistive", "eb_resistive.energy:Resistive", "node voltages behind ideal diodes, no self-energy")
    ]


@hookimpl
def eb_models() -> list[Component]:
    return [Component("drn", "eb_resistive.model:DRN", "deep resistive network: resistors in a chain", recipe="drn")]


@hookimpl
def eb_recipes() -> list[Component]:
    return [Component("drn", "eb_resistive:recipes/drn.toml", "64-100-10 of resistors and diodes on the digits")]
