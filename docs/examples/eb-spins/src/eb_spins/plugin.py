"""What this package registers. It must not import torch."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_energies() -> list[Component]:
    return [Component("ising", "eb_spins.energy:Ising", "binary spins -1 and +1")]


@hookimpl
def eb_relaxers() -> list[Component]:
    return [
        Component(
            "annealer", "eb_spins.annealer:Annealer", "simulated annealing by Gibbs sweeps, best of several reads"
        )
    ]


@hookimpl
def eb_models() -> list[Component]:
    return [Component("chip", "eb_spins.chip:Chip", "dense layers in a chain, weights in [-1, 1]", recipe="ising")]


@hookimpl
def eb_recipes() -> list[Component]:
    return [
        Component("ising", "eb_spins:recipes/ising.toml", "spins on digits, annealed, one-sided EP with a large nudge")
    ]
