"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"

_EP = "eb_rules.equilibrium_propagation:EquilibriumPropagation"
_CPL = "eb_rules.coupled_learning:CoupledLearning"


@hookimpl
def eb_rules() -> list[Component]:
    return [
        Component("c-ep", _EP, "centred equilibrium propagation: nudges -b and +b", {"variant": "centered"}),
        Component("p-ep", _EP, "positive equilibrium propagation: free and +b", {"variant": "positive"}),
        Component("n-ep", _EP, "negative equilibrium propagation: -b and free", {"variant": "negative"}),
        Component("cl", _CPL, "contrastive learning: output clamped to y", {"variant": "positive", "beta": 1.0}),
        Component("c-cpl", _CPL, "centred coupled learning: output clamped away and towards", {"variant": "centered"}),
        Component("p-cpl", _CPL, "positive coupled learning: output clamped towards y", {"variant": "positive"}),
        Component("n-cpl", _CPL, "negative coupled learning: output clamped away from y", {"variant": "negative"}),
        Component("tbp", "eb_rules.backprop:TruncatedBackprop", "backprop through T further iterations"),
        Component("rbp", "eb_rules.backprop:RecurrentBackprop", "recurrent backprop: T terms of the Neumann series"),
        Component("bp", "eb_rules.backprop:Backprop", "backprop in the feed-forward net of the same shape"),
    ]
