"""Lateral inhibition on a ring.

E_edge = - sum_d w_d sum_i u_i u_{i+d},   d = 1 .. r, indices cyclic, w_d <= 0
"""

import math

import torch

from eb_core import Edge


class Ring(Edge):
    """Each unit inhibits its neighbours up to distance r; one weight for each distance."""

    bounds = {"weight": (-math.inf, 0.0)}

    def __init__(self, layer, shape, radius, gain=None):
        units = math.prod(shape)
        if not 1 <= 2 * radius < units:
            raise ValueError(f"a ring of {units} units has radius 1 to {(units - 1) // 2}, not {radius}")
        super().__init__(layer, layer, fan_in=2 * radius, gain=gain)
        self.radius = radius
        self.weight = torch.nn.Parameter(torch.zeros(radius))

    def _turned(self, u, sign, plus):
        flat = u.flatten(1)
        field = sum(w * flat.roll(sign * d, 1) for d, w in enumerate(self.weight, start=1)).view_as(u)
        return field if plus is None else plus + field

    def drive(self, u_pre, plus=None):
        """sum_d w_d u_{i+d}."""
        return self._turned(u_pre, -1, plus)

    def pullback(self, u_post, plus=None, context=None):
        """sum_d w_d u_{i-d}."""
        return self._turned(u_post, +1, plus)

    def gradient(self, u_pre, u_post):
        pre, post = u_pre.flatten(1), u_post.flatten(1)
        return {"weight": torch.stack([(pre.roll(-d, 1) * post).sum() for d in range(1, self.radius + 1)])}

    def majorant(self, shape):
        """2 sum_d |w_d|: for w <= 0 this is minus the smallest eigenvalue of J itself."""
        return (2 * self.weight.abs().sum()).expand(shape)

    def init_(self, gain, generator):
        """-U(0, gain / sqrt(2 r)): drawn as usual and projected, half of them would start at 0."""
        bound = (gain if self.gain is None else self.gain) / math.sqrt(self.fan_in)
        with torch.no_grad():
            drawn = torch.rand(self.weight.shape, generator=generator, dtype=self.weight.dtype)
            self.weight.copy_(-bound * drawn)
