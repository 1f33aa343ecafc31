"""Binary spins: E = - couplings - biases, s = +-1. The squared error of a read-out +-1 is a field beta y."""

import torch

from eb_core import Energy, Spins, configurable, refuse


@configurable
class Ising(Energy):
    """E = - <W_0 x + b_1, s_1> - sum <W s_l, s_l+1> - sum <b_l, s_l>, every s = +-1."""

    def domain(self, layer):
        return Spins()

    def self_energy(self, layer, s):
        return torch.zeros_like(s)

    def minimize_unit(self, layer, field, s, curvature=None):
        return torch.where(field[0] == 0, s, torch.sign(field[0]))

    @property
    def readout_range(self):
        return -1.0, 1.0

    @property
    def output_curvature(self):
        return float("inf")

    def initial_state(self, layer, batch, like):
        return like.new_ones(batch, *layer.shape)

    def check(self, setup):
        if setup.network is not None and not setup.network.linear:
            yield refuse("a maximum of fields bounds nothing where spins are negative")
