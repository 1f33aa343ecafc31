"""Node voltages: E = 1/2 sum g_ij (u_i - u_j)^2 - sum b_j u_j. All curvature comes from the edges."""

import math

import torch

from eb_core import Boxes, Energy, Line, configurable, refuse


@configurable
class Resistive(Energy):
    """Voltages without a self-energy; hidden units behind ideal diodes, the first half s >= 0, the others s <= 0."""

    def domain(self, layer):
        if layer.role == "output":
            return Line()
        up = (torch.arange(layer.size) < (layer.size + 1) // 2).view(layer.shape)
        return Boxes(torch.where(up, 0.0, -math.inf), torch.where(up, math.inf, 0.0))

    def self_energy(self, layer, s):
        return torch.zeros_like(s)

    def minimize_unit(self, layer, field, s, curvature=None):
        """P(field / a); a node that hangs on no conductance keeps its voltage."""
        a = curvature[0].expand_as(s)
        connected = a > 0
        return torch.where(connected, self.domain(layer).project(field[0] / torch.where(connected, a, 1.0)), s)

    @property
    def output_curvature(self):
        return 0.0

    def check(self, setup):
        layers = () if setup.network is None else setup.network.unit_layers
        bare = [layer.name for layer in layers if setup.network.curvature(layer.name) is None]
        if bare:
            yield refuse(
                f"voltages have no energy of their own, and no edge at {', '.join(bare)} has a self-term: use model drn"
            )
