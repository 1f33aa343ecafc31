"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_energies() -> list[Component]:
    return [
        Component(
            "oim",
            "eb_dynamics_oim.energy:OscillatorEnergy",
            "phases coupled by the cosine of their differences, read-out -1 to 1",
            recipe="oim",
        )
    ]


@hookimpl
def eb_relaxers() -> list[Component]:
    return [
        Component("oim", "eb_dynamics_oim.euler:PhaseDynamics", "phase dynamics in Euler steps, with phase noise"),
        Component(
            "oim-heavy-ball", "eb_dynamics_oim.heavy_ball:HeavyBall", "heavy ball that restarts where it would climb"
        ),
        Component("oim-block", "eb_dynamics_oim.block:BlockPhases", "layer after layer to its minimum"),
        Component("oim-newton", "eb_dynamics_oim.newton:NewtonPhases", "pseudo-transient Newton, exact Hessian"),
    ]


@hookimpl
def eb_recipes() -> list[Component]:
    return [
        Component("oim", "eb_dynamics_oim:recipes/oim.toml", "oscillators for every day: Newton and Adam, digits"),
        Component(
            "oim-paper", "eb_dynamics_oim:recipes/oim-paper.toml", "Gower's Table I for MNIST/100: T 3500, K 350, SGD"
        ),
    ]
