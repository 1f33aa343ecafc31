"""Between states of layers and what a chip reports of its units, in device indices."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from eb_core import Box, Circle, Domain, Energy, Layer, Network
from eb_core.device.contract import Array
from eb_core.device.levels import encoded
from eb_core.device.placement import Placement, ends_of
from eb_core.settling.state import State

Ends = tuple[float, float] | None


class Units:
    """The units of a chip.

    Args:
        placement: which of them are which of the network.
        network: its layers.
        energy: where their states live.
    """

    def __init__(self, placement: Placement, network: Network, energy: Energy) -> None:
        self._placement, self._energy, self._layers = placement, energy, network.unit_layers
        self._like = next(network.parameters())

    def _each(self) -> Iterator[tuple[Layer, Array, Ends]]:
        for layer in self._layers:
            yield layer, self._placement.units[layer.name], ends_of(layer, self._energy, self._placement.capabilities)

    def tensors(self, values: Array) -> dict[str, Tensor]:
        """(B, N) by layer, (B, *shape), as they are."""
        cut = {layer: values[:, at] for layer, at, _ in self._each()}
        return {layer.name: torch.from_numpy(one).to(self._like).view(-1, *layer.shape) for layer, one in cut.items()}

    def states(self, reported: Array) -> dict[str, Tensor]:
        """States by layer, (B, *shape), from what is reported, (B, N)."""
        states = np.array(reported, dtype=np.float64)
        for layer, at, ends in self._each():
            scale = _scale(self._energy.domain(layer), ends)
            if scale is not None:
                states[:, at] = (states[:, at] - scale[1]) / scale[0]
        return self.tensors(states)

    def reported(self, state: State) -> Array:
        """What is reported of states, (B, N) float64; phases in [0, 2 pi)."""
        values = np.zeros((state.batch, self._placement.size))
        for layer, at, ends in self._each():
            own, domain = state[layer.name].flatten(1).double().cpu().numpy(), self._energy.domain(layer)
            scale = _scale(domain, ends)
            if isinstance(domain, Circle):
                own = np.mod(own, 2 * math.pi)
            values[:, at] = own if scale is None else scale[0] * own + scale[1]
        return values

    def widths(self) -> Array:
        """Width of the range of each unit, (N,); 1 where there is none."""
        widths = np.ones(self._placement.size)
        for _, at, ends in self._each():
            widths[at] = 1.0 if ends is None else ends[1] - ends[0]
        return widths

    def codes(self, values: Array) -> Array:
        """The nearest codes, (B, N) int64."""
        bits = self._placement.capabilities.readout_bits
        codes = np.zeros(values.shape, dtype=np.int64)
        for layer, at, ends in self._each():
            assert bits is not None, "codes are asked for where there are bits"
            assert ends is not None, "a placement refuses codes without a range"
            codes[:, at] = encoded(values[:, at], ends, bits, isinstance(self._energy.domain(layer), Circle))
        return codes

    def clamps(self, held: Array, values: Array) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Values of clamped layers, and masks of those that are clamped in part."""
        states, masks = self.states(values), {}
        for layer, at, _ in self._each():
            if held[:, at].all():
                continue
            if not held[:, at].any():
                del states[layer.name]
                continue
            masks[layer.name] = torch.from_numpy(held[:, at]).to(self._like.device).view(-1, *layer.shape)
        return states, masks


def _scale(domain: Domain, ends: Ends) -> tuple[float, float] | None:
    """(a, b), where a chip reports a s + b for a state s; None for s itself."""
    if not isinstance(domain, Box) or ends is None or not math.isfinite(domain.upper - domain.lower):
        return None
    if ends == (domain.lower, domain.upper):
        return None
    slope = (ends[1] - ends[0]) / (domain.upper - domain.lower)
    return slope, ends[0] - slope * domain.lower
