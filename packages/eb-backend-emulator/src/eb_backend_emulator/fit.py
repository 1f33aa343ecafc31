"""Energy and relaxer as an emulated chip runs them, and whether they can run so."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
import torch

from eb_backend_emulator.detuned import Detuned
from eb_backend_emulator.streams import frozen, normal
from eb_backend_emulator.wiring import wired
from eb_core import Circle, Diagnostic, Energy, IterativeRelaxer, Network, Relaxer, Setup, refuse
from eb_core.physics.energy import KINDS

if TYPE_CHECKING:
    from eb_backend_emulator.emulator import Emulator


def tilted(emulator: "Emulator", energy: Energy, network: Network | None) -> Energy:
    """The energy, each oscillator with a frequency of its own."""
    if not emulator.detuning:
        return energy
    tilts = {}
    if network is not None:
        like = next(network.parameters())
        for layer in network.unit_layers:
            drawn = normal(layer.shape, frozen(emulator.seed, f"detuning {layer.name}"))
            tilts[layer.name] = torch.from_numpy(emulator.detuning * drawn).to(like)
    return Detuned(energy, tilts)


def cut_short(emulator: "Emulator", relaxer: Relaxer) -> Relaxer:
    """The relaxer for a share of its iterations, whatever the residual.

    Raises:
        ValueError: its options do not allow for that.
    """
    share = emulator.settling
    if share is None:
        return relaxer
    if not isinstance(relaxer, IterativeRelaxer):
        raise ValueError("settling cuts iterations short, and this relaxer counts none")
    steps = {name: max(1, round(share * getattr(relaxer, name))) for name in ("steps", "nudged_steps")}
    changed: Relaxer = attrs.evolve(relaxer, **steps, tol=0.0, nudged_tol=None)  # type: ignore[misc]
    return changed


def says(emulator: "Emulator", setup: Setup) -> Iterator[Diagnostic]:
    """Why energy and relaxer cannot run on this chip."""
    energy, relaxer = setup.energy, setup.relaxer
    if emulator.detuning and energy is not None and not all(isinstance(energy.domain(one), Circle) for one in KINDS):
        yield refuse(f"detuning is of phases, and units of {type(energy).__name__} have none")
        return
    if relaxer is None:
        return
    try:
        cut_short(emulator, relaxer)
    except ValueError as error:
        yield refuse(f"with settling = {emulator.settling}: {error}")
    if not emulator.detuning and not emulator.asymmetry:
        return
    chip = None
    if emulator.asymmetry and setup.network is not None:
        inner = [name for name, edge in setup.network.edges.items() if edge.pre != setup.network.input]
        chip = wired(setup.network, inner, False, True, next(setup.network.parameters()))
    own = None if energy is None else tilted(emulator, energy, setup.network)
    for said in relaxer.check(attrs.evolve(setup, energy=own, network=chip)):
        if said.severity == "refuse":
            yield refuse(f"with detuning or asymmetry the relaxer says: {said.what}")
