"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_energies() -> list[Component]:
    return [Component("cim", "eb_dynamics_cim.energy:CimEnergy", "pumped, saturating amplitudes in [0, 1]")]


@hookimpl
def eb_relaxers() -> list[Component]:
    return [
        Component("cim", "eb_dynamics_cim.amplitude:AmplitudeDynamics", "amplitude dynamics with pump ramp and noise"),
        Component("cim-block", "eb_dynamics_cim.block:CimBlock", "layer after layer to the closed-form root"),
        Component("adam", "eb_dynamics_cim.adam:Adam", "ground state by Adam on the whole force, boxes and lines"),
    ]


@hookimpl
def eb_recipes() -> list[Component]:
    return [Component("cim", "eb_dynamics_cim:recipes/cim.toml", "CIM amplitudes on MNIST, 784-120-10, centred EP")]
