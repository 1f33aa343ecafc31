"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_backends() -> list[Component]:
    return [
        Component("emulator", "eb_backend_emulator.emulator:Emulator", "a chip of any capabilities, emulated here"),
    ]
