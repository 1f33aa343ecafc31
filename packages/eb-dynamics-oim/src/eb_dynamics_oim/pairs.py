"""f and H of two layers joined by one dense edge, without ever writing out their coupling.

    C_oi = -W_oi (c_o c_i + s_o s_i),   A_i = H_ii + 1/dt
    (C A^-1 C')_op = c_o c_p M^cc_op + (c_o s_p + s_o c_p) M^cs_op + s_o s_p M^ss_op
    M^uv_op = sum_i W_oi W_pi u_i v_i / A_i

so that the Schur complement of a batch is one product with the fixed matrix of pairs W_oi W_pi, o <= p.
"""

import attrs
import torch
from torch import Tensor

LARGEST = 4_000_000
"""Most entries of the matrix of pairs; beyond it writing out the coupling is no slower."""


@attrs.frozen(eq=False)
class Wiring:
    """What of the linear system depends on the weights W, (m, n), alone.

    Attributes:
        pairs: -W_oi W_pi for o >= p, (n, m (m + 1) / 2).
        gather: cosines and sines of o, then of p, among the m cosines and m sines; places: of (o, p) in m x m.
    """

    weight: Tensor
    pairs: Tensor
    gather: Tensor
    places: Tensor

    @classmethod
    def of(cls, weight: Tensor) -> "Wiring":
        """That of a weight."""
        size, weight = len(weight), weight.contiguous()
        rows, others = torch.tril_indices(size, size, device=weight.device)
        gather = torch.cat([rows, rows + size, others, others + size])
        return cls(weight, -(weight[rows] * weight[others]).t(), gather, rows * size + others)


@attrs.frozen(eq=False)
class Pairs:
    """f and H of each sample; n units of the layer that is eliminated, m of the other one.

    Args:
        force, diagonal: f and the diagonal of H of the first, (B, n); far_force, far_diagonal: of the other, (B, m).
        code, far_code: cosine and sine, (2, B, n) and (2, B, m).
    """

    force: Tensor
    diagonal: Tensor
    far_force: Tensor
    far_diagonal: Tensor
    code: Tensor
    far_code: Tensor
    wiring: Wiring

    def select(self, rows: Tensor) -> "Pairs":
        """The samples at `rows`."""
        return attrs.evolve(
            self,
            force=self.force[rows],
            diagonal=self.diagonal[rows],
            far_force=self.far_force[rows],
            far_diagonal=self.far_diagonal[rows],
            code=self.code[:, rows],
            far_code=self.far_code[:, rows],
        )

    def attempt(self, dt: Tensor) -> tuple[Tensor, Tensor]:
        """The step at these dt, and whether 1/dt + H is positive definite, for each sample."""
        wiring, batch, shift = self.wiring, len(dt), (1 / dt).unsqueeze(1)
        size = len(wiring.weight)
        shifted = self.diagonal + shift
        inverse = shifted.reciprocal()
        scaled = self.code * inverse
        sums = torch.cat([scaled * self.code[0], (scaled[1] * self.code[1]).unsqueeze(0)]).flatten(0, 1) @ wiring.pairs
        cc, cs, ss = sums.view(3, batch, -1)
        co, so = self.far_code
        c, s, c_other, s_other = torch.cat([co, so], dim=1)[:, wiring.gather].chunk(4, dim=1)
        lower = (c * c_other).mul_(cc).addcmul_((c * s_other).addcmul_(s, c_other), cs).addcmul_(s * s_other, ss)
        complement = shifted.new_zeros(batch, size * size).index_copy_(1, wiring.places, lower)
        complement = complement.view(batch, size, size)
        complement.diagonal(dim1=1, dim2=2).add_(self.far_diagonal + shift)
        factor, info = torch.linalg.cholesky_ex(complement)
        pushed = ((scaled * self.force).flatten(0, 1) @ wiring.weight.t()).view(2, batch, size)
        right = self.far_force + co * pushed[0] + so * pushed[1]
        moved = torch.cholesky_solve(right.unsqueeze(2), factor).squeeze(2)
        back = (torch.cat([co * moved, so * moved]) @ wiring.weight).view(2, batch, -1)
        near = inverse * self.force + (scaled * back).sum(0)
        return torch.cat([near, moved], dim=1), (shifted > 0).all(1) & (info == 0)
