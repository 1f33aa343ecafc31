"""Resistors between layers, and from sources +gain x and -gain x to a layer."""

import math
from math import prod

import torch

from eb_core import Dense, Edge


class Resistors(Dense):
    """1/2 sum_ij g_ij (u_i - u_j)^2, g >= 0."""

    bounds = {"weight": (0.0, math.inf)}

    def curvature(self):
        return self.weight.sum(0).view(self.pre_shape), self.weight.sum(1).view(self.post_shape)


class Sources(Edge):
    """1/2 sum_ij [ g+_ij (gain x_i - u_j)^2 + g-_ij (-gain x_i - u_j)^2 ], g+ and g- >= 0."""

    bounds = {"weight": (0.0, math.inf)}

    def __init__(self, pre, post, pre_shape, post_shape, volts, gain=None):
        inputs, units = prod(pre_shape), prod(post_shape)
        super().__init__(pre, post, 2 * inputs, gain)
        self.pre_shape, self.post_shape, self.volts = tuple(pre_shape), tuple(post_shape), volts
        self.weight = torch.nn.Parameter(torch.zeros(2, units, inputs))  # g+, g-

    def drive(self, u_pre, plus=None):
        up, down = self.weight
        out = self.volts * (u_pre.flatten(1) @ (up - down).t()).view(-1, *self.post_shape)
        return out if plus is None else plus + out

    def pullback(self, u_post, plus=None, context=None):
        up, down = self.weight
        out = self.volts * (u_post.flatten(1) @ (up - down)).view(-1, *self.pre_shape)
        return out if plus is None else plus + out

    def gradient(self, u_pre, u_post):
        outer = self.volts * (u_post.flatten(1).t() @ u_pre.flatten(1))
        return {"weight": torch.stack([outer, -outer])}

    def curvature(self):
        both = self.weight.sum(0)
        return self.volts**2 * both.sum(0).view(self.pre_shape), both.sum(1).view(self.post_shape)
