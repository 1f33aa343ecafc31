"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"

_EP = "eb_rules.equilibrium_propagation:EquilibriumPropagation"


@hookimpl
def eb_rules() -> list[Component]:
    return [
        Component("c-ep", _EP, "centred equilibrium propagation: nudges -b and +b", {"variant": "centered"}),
        Component("p-ep", _EP, "positive equilibrium propagation: free and +b", {"variant": "positive"}),
        Component("n-ep", _EP, "negative equilibrium propagation: -b and free", {"variant": "negative"}),
    ]
