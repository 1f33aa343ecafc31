"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_relaxers() -> list[Component]:
    return [
        Component(
            "csb",
            "eb_dynamics_csb.relaxer:CSB",
            "damped inertial dynamics with walls (continuous simulated bifurcation)",
        )
    ]


@hookimpl
def eb_recipes() -> list[Component]:
    return [
        Component(
            "csb-paper",
            "eb_dynamics_csb:recipes/csb-paper.toml",
            "784-120-10 on MNIST, parallel cSB, 20 free and 15 nudged iterations, batch 128",
        )
    ]
