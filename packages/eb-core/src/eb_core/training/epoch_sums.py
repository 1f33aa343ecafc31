"""The sums of the epoch under way: all that a report of it will need, so that a checkpoint can hold half an epoch."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from eb_core.learning.rule import GradientEstimate
from eb_core.learning.usage import since, together
from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.training.evaluation import Score
from eb_core.training.health import HealthMeter


class EpochSums:
    """Sums over the batches of an epoch that are done; they stay on the device until `score` reads them.

    Attributes:
        done: batches counted.
        seconds: time spent on them; used: what they used of the device.
        loss, right: sums of the cost and of right answers, 0-dimensional, float64 and int64.
        meter: the health figures.
    """

    def __init__(self, network: Network, energy: Energy, device: torch.device) -> None:
        self.done = 0
        self.seconds = 0.0
        self.used: Mapping[str, float] = {}
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.right = torch.zeros((), dtype=torch.int64, device=device)
        self.meter = HealthMeter(network, energy)

    def begin(self, usage: Mapping[str, float]) -> None:
        """Go on counting time, and use of the device, from now; `usage` is what its session says now."""
        self._started = time.perf_counter() - self.seconds
        self._before, self._mark = self.used, usage

    def spend(self, usage: Mapping[str, float]) -> None:
        """Count what was spent since `begin`."""
        self.seconds = time.perf_counter() - self._started
        self.used = together(self._before, since(usage, self._mark))

    def add(self, estimate: GradientEstimate, predicted: Tensor, labels: Tensor) -> None:
        """Count one batch."""
        self.loss += estimate.loss.sum()
        self.right += (predicted == labels).sum()
        self.meter.add(estimate)
        self.done += 1

    def score(self, samples: int) -> Score:
        """The means over `samples`."""
        return Score(float(self.loss) / samples, int(self.right) / samples, samples)
