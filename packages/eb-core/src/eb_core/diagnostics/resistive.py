"""Reference edges with a self-term: conductances between two layers, and within one.

    E_edge = 1/2 sum_ij theta_ij (u_i - u_j)^2 = - <theta u_pre, u_post> + 1/2 <a_pre, u_pre^2> + 1/2 <a_post, u_post^2>

a of a unit is the sum of the conductances at it, and theta >= 0.
"""

import math

from torch import Tensor

from eb_core.network.dense import Dense
from eb_core.network.lateral import Lateral

CONDUCTANCES = {"weight": (0.0, math.inf)}


class Resistive(Dense):
    """A conductance between every unit of one layer and every unit of another."""

    bounds = CONDUCTANCES

    def curvature(self) -> tuple[Tensor, Tensor]:
        return self.weight.sum(0).view(self.pre_shape), self.weight.sum(1).view(self.post_shape)


class ResistiveLateral(Lateral):
    """A conductance between every two units of a layer, i < j."""

    bounds = CONDUCTANCES

    def curvature(self) -> tuple[Tensor, Tensor]:
        return self.weight.sum(0).view(self.pre_shape), self.weight.sum(1).view(self.post_shape)

    def project_(self) -> None:
        Lateral.project_(self)
        Dense.project_(self)
