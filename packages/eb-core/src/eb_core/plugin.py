"""The core's own components; they go through the same hooks as everybody else's."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_costs() -> list[Component]:
    return [
        Component(
            "squared-error", "eb_core.physics.squared_error:SquaredError", "half the squared distance to the target"
        ),
        Component(
            "cross-entropy", "eb_core.physics.cross_entropy:CrossEntropy", "softmax cross-entropy on the read-out"
        ),
    ]


@hookimpl
def eb_suites() -> list[Component]:
    return [Component("eb-core", "eb_core:suite.toml", "the core's own defaults")]


@hookimpl
def eb_backends() -> list[Component]:
    return [Component("simulator", "eb_core.learning.simulator:Simulator", "settles on this computer")]
