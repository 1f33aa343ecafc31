"""Health figures of an epoch: does the network settle, do its units have room to move?

Sums stay on the device and are read once per epoch, so that no batch waits for it.
"""

import attrs
import torch
from torch import Tensor

from eb_core.learning.rule import GradientEstimate
from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.settling.relaxer import Relaxation


@attrs.frozen
class Health:
    """Means over the samples of an epoch; None where a figure has no meaning (no tolerance, no walls, no iterations).

    Args:
        unconverged: share of samples whose free phase missed the tolerance.
        nudged_unconverged: the same for the other phases.
        steps: iterations of the free phase; nudged_steps of the other phases.
        saturated: share of hidden units on a wall of their domain at the free state.
        energy: E at the free state.
    """

    unconverged: float | None
    nudged_unconverged: float | None
    steps: float | None
    nudged_steps: float | None
    saturated: float | None
    energy: float


class HealthMeter:
    """Collects the figures of one epoch.

    Attributes:
        sums: figure -> sum over the values seen, 0-dimensional, on the device.
        counts: figure -> number of those values.
    """

    def __init__(self, network: Network, energy: Energy) -> None:
        self._hidden = [(layer, energy.domain(layer)) for layer in network.unit_layers if layer.role == "hidden"]
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def _add(self, name: str, values: Tensor) -> None:
        total = values.sum(dtype=torch.float64) if values.device.type != "mps" else values.float().sum()
        self.sums[name] = self.sums[name] + total if name in self.sums else total
        self.counts[name] = self.counts.get(name, 0) + values.numel()

    def add(self, estimate: GradientEstimate) -> None:
        """Count one batch."""
        free = estimate.phases["free"]
        self._phase("", free)
        self._add("energy", free.energy)
        for name, relaxation in estimate.phases.items():
            if name != "free":
                self._phase("nudged_", relaxation)
        for layer, domain in self._hidden:
            walls = domain.at_wall(free.state[layer.name])
            if walls is not None:
                self._add("saturated", walls)

    def _phase(self, prefix: str, relaxation: Relaxation) -> None:
        if relaxation.steps is not None:
            self._add(f"{prefix}steps", relaxation.steps)
        if relaxation.converged is not None:
            self._add(f"{prefix}unconverged", ~relaxation.converged)

    def read(self) -> Health:
        """The means; the one moment that waits for the device."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        return Health(
            means.get("unconverged"),
            means.get("nudged_unconverged"),
            means.get("steps"),
            means.get("nudged_steps"),
            means.get("saturated"),
            means["energy"],
        )
