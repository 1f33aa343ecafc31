"""Where a unit's state lives: a box (one for all units, or one for each), the line, the circle, or two spin values."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import attrs
import torch
from torch import Tensor


class Domain(ABC):
    """A set of allowed values with its projection and its distance.

    `differentiable` says that states move continuously, so that an energy has a force -dE/ds. Without it only dynamics
    that need none (`Properties.needs_force`) can run, and nobody speaks of exact gradients.
    """

    differentiable: ClassVar[bool] = True

    @abstractmethod
    def project(self, s: Tensor) -> Tensor:
        """The nearest allowed value, elementwise."""

    @abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """How far two states are apart, elementwise and never negative."""

    def mean(self, s: Tensor) -> Tensor:
        """The mean state over the first dimension, as an allowed value."""
        return self.project(s.mean(0))

    def at_wall(self, s: Tensor) -> Tensor | None:
        """Which units sit on a wall (bool), or None where there are no walls."""
        return None

    def wall_distance(self, s: Tensor) -> Tensor:
        """Distance to the nearest wall, elementwise; inf where there is none."""
        return torch.full_like(s, torch.inf)


@attrs.frozen
class Box(Domain):
    """[lower, upper]; values outside are cut to the wall."""

    lower: float = 0.0
    upper: float = 1.0

    def project(self, s: Tensor) -> Tensor:
        return s.clamp(self.lower, self.upper)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs()

    def at_wall(self, s: Tensor) -> Tensor:
        return (s <= self.lower) | (s >= self.upper)

    def wall_distance(self, s: Tensor) -> Tensor:
        return torch.minimum(s - self.lower, self.upper - s)


@attrs.frozen(eq=False)
class Boxes(Domain):
    """[lower, upper] of each unit, tensors that broadcast to (*layer shape); infinite where a unit has no such wall."""

    lower: Tensor
    upper: Tensor

    def project(self, s: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(s, self.lower.to(s)), self.upper.to(s))

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs()

    def at_wall(self, s: Tensor) -> Tensor:
        return (s <= self.lower.to(s)) | (s >= self.upper.to(s))

    def wall_distance(self, s: Tensor) -> Tensor:
        return torch.minimum(s - self.lower.to(s), self.upper.to(s) - s)


@attrs.frozen
class Line(Domain):
    """All real numbers."""

    def project(self, s: Tensor) -> Tensor:
        return s

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs()


@attrs.frozen
class Circle(Domain):
    """Angles in radians; states are not wrapped, distances are."""

    def project(self, s: Tensor) -> Tensor:
        return s

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.remainder(a - b + math.pi, 2 * math.pi).sub(math.pi).abs()

    def mean(self, s: Tensor) -> Tensor:
        """The direction of the mean of (cos s, sin s)."""
        return torch.atan2(s.sin().mean(0), s.cos().mean(0))


@attrs.frozen
class Spins(Domain):
    """-1 and +1, and nothing between them; 0 is projected to +1."""

    differentiable: ClassVar[bool] = False

    def project(self, s: Tensor) -> Tensor:
        return torch.where(s < 0, -1.0, 1.0).to(s)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs()
