"""What this package registers. It must not import torch."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_models() -> list[Component]:
    return [
        Component(
            "competitive",
            "eb_lateral.competitive:Competitive",
            "dense chain, neighbours within a hidden layer inhibit each other",
            recipe="competitive",
        )
    ]


@hookimpl
def eb_recipes() -> list[Component]:
    return [Component("competitive", "eb_lateral:recipes/competitive.toml", "rings of inhibition, centred EP, digits")]
