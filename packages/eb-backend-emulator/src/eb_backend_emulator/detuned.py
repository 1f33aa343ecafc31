"""Oscillators that do not run at one frequency: each phase is pulled on by what its own frequency differs by.

    E' = E - sum_i delta_i phi_i,    dphi_i/dt = -dE/dphi_i + delta_i

A unit whose neighbours pull less than delta is not locked: it has no minimum, and never comes to rest.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from eb_core import Domain, Energy, Layer
from eb_core.physics.stiffness import largest_stiffness


class Detuned(Energy):
    """An energy of phases, tilted.

    Args:
        energy: that of oscillators of one frequency.
        tilts: delta by layer, (*layer shape), in rad per unit time; layers that are left out have none.
    """

    def __init__(self, energy: Energy, tilts: Mapping[str, Tensor]) -> None:
        self.energy, self.tilts = energy, tilts
        self.channels, self.gain = energy.channels, energy.gain

    def _tilt(self, layer: Layer) -> Tensor | float:
        return self.tilts.get(layer.name, 0.0)

    def domain(self, layer: Layer) -> Domain:
        return self.energy.domain(layer)

    def encode(self, layer: Layer, s: Tensor) -> Tensor:
        return self.energy.encode(layer, s)

    def encode_vjp(self, layer: Layer, s: Tensor, field: Tensor) -> Tensor:
        return self.energy.encode_vjp(layer, s, field)

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return self.energy.self_energy(layer, s) - self._tilt(layer) * s

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return self.energy.self_derivative(layer, s) - self._tilt(layer)

    def force(self, layer: Layer, s: Tensor, field: Tensor, code: Tensor) -> Tensor:
        return self.energy.force(layer, s, field, code) + self._tilt(layer)

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """One step along the force, over a bound of its slope: |field| + self'' + |a|. It never climbs."""
        code = self.encode(layer, s)
        bound = field.square().sum(0).sqrt() + largest_stiffness(self.energy)
        if curvature is not None:
            field = torch.addcmul(field, curvature, code, value=-1)
            bound = bound + 2 * curvature.abs().amax(0)
        return s + self.force(layer, s, field, code) / bound.clamp(min=1e-6)

    @property
    def readout_range(self) -> tuple[float, float]:
        return self.energy.readout_range

    @property
    def output_curvature(self) -> float:
        return self.energy.output_curvature

    def with_readout(self, value: Tensor, s: Tensor) -> Tensor:
        return self.energy.with_readout(value, s)

    def initial_state(self, layer: Layer, batch: int, like: Tensor) -> Tensor:
        return self.energy.initial_state(layer, batch, like)
