"""The hooks that a plugin may implement. Each one returns records and does nothing else.

A plugin is an import-light module named by an entry point in the group `eb.plugins`:

    [project.entry-points."eb.plugins"]
    my-dynamics = "my_dynamics.plugin"

The module says which plugin API it was written for and implements any of the hooks below:

    from eb_core.registry import Component, hookimpl

    EB_PLUGIN_API = "0.1"

    @hookimpl
    def eb_relaxers():
        return [Component("my-flow", "my_dynamics.flow:MyFlow", "what it does, in one line")]

It must not import torch: targets are strings, so that listing plugins stays fast.
"""

from collections.abc import Sequence

import pluggy

from eb_core.registry.component import Component

PROJECT = "eb"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def eb_models() -> Sequence[Component]:  # type: ignore[empty-body]
    """Network recipes; each target is an `eb_core.Model` whose `build` makes a `Network`.

    @hookimpl
    def eb_models():
        return [Component("mlp", "eb_models.mlp:MLP", "dense layers in a chain", recipe="mlp")]
    """


@hookspec
def eb_energies() -> Sequence[Component]:  # type: ignore[empty-body]
    """The physics of a unit; each target is an `eb_core.Energy`.

    @hookimpl
    def eb_energies():
        return [Component("hopfield", "eb_dynamics_hopfield.energy:HopfieldEnergy", "amplitudes in [0, 1]")]
    """


@hookspec
def eb_relaxers() -> Sequence[Component]:  # type: ignore[empty-body]
    """Ways to carry a state towards a minimum; each target is an `eb_core.Relaxer`.

    @hookimpl
    def eb_relaxers():
        return [Component("hopfield", "eb_dynamics_hopfield.block:Hopfield", "block minimisation")]
    """


@hookspec
def eb_rules() -> Sequence[Component]:  # type: ignore[empty-body]
    """Learning rules; each target is an `eb_core.Rule`.

    @hookimpl
    def eb_rules():
        return [Component("c-ep", "eb_rules.ep:EquilibriumPropagation", "...", preset={"variant": "centered"})]
    """


@hookspec
def eb_costs() -> Sequence[Component]:  # type: ignore[empty-body]
    """Costs on the read-out; each target is an `eb_core.Cost`.

    @hookimpl
    def eb_costs():
        return [Component("squared-error", "eb_core.physics.squared_error:SquaredError", "half the squared distance")]
    """


@hookspec
def eb_datasets() -> Sequence[Component]:  # type: ignore[empty-body]
    """Data sets; each target is an `eb_core.Dataset` whose `load` makes `Data`.

    @hookimpl
    def eb_datasets():
        return [Component("digits", "eb_datasets.digits:Digits", "1,797 handwritten digits, 8x8")]
    """


@hookspec
def eb_backends() -> Sequence[Component]:  # type: ignore[empty-body]
    """Places where settling happens; each target is an `eb_core.Backend` whose `open` makes a `Session`.

    @hookimpl
    def eb_backends():
        return [Component("my-chip", "my_chip.backend:MyChip", "256 coupled oscillators")]
    """


@hookspec
def eb_suites() -> Sequence[Component]:  # type: ignore[empty-body]
    """Packages that belong together, with the defaults of a run; each target is `"package:path.toml"`.

    @hookimpl
    def eb_suites():
        return [Component("eb-suite", "eb_suite:suite.toml", "the built-in plugins")]
    """


@hookspec
def eb_recipes() -> Sequence[Component]:  # type: ignore[empty-body]
    """Recipe files over all kinds; each target is `"package:path.toml"` inside the package.

    @hookimpl
    def eb_recipes():
        return [Component("mlp", "eb_models:recipes/mlp.toml", "one hidden layer, centred EP")]
    """
