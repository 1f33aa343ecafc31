"""What this package registers. It must not import torch."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_relaxers() -> list[Component]:
    return [
        Component(
            "over-relaxed",
            "eb_dynamics_example.over_relaxed:OverRelaxed",
            "past the minimum of each layer, or short of it",
        ),
        Component("inertial", "eb_dynamics_example.inertial:Inertial", "a ball with friction, and walls that stop it"),
    ]
