"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_energies() -> list[Component]:
    return [
        Component("hopfield", "eb_dynamics_hopfield.energy:HopfieldEnergy", "amplitudes, hidden units between walls"),
        Component(
            "hopfield-graded",
            "eb_dynamics_hopfield.graded:GradedHopfield",
            "smooth activations: softplus, sigmoid, tanh",
        ),
    ]


@hookimpl
def eb_relaxers() -> list[Component]:
    return [
        Component("hopfield", "eb_dynamics_hopfield.block:Hopfield", "layer after layer to its minimum (asynchronous)"),
        Component(
            "hopfield-sync", "eb_dynamics_hopfield.synchronous:HopfieldSync", "all layers at once from the old state"
        ),
        Component("gradient-flow", "eb_dynamics_hopfield.flow:GradientFlow", "projected gradient flow in Euler steps"),
    ]
