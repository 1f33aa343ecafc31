"""(1/dt + H) d = f for each sample, with a block of H that is diagonal eliminated exactly.

    H = [ D  C' ]     A = D + 1/dt,   S = R + 1/dt - C A^-1 C'     (Schur complement)
        [ C  R  ]     S d_2 = f_2 - C A^-1 f_1,   A d_1 = f_1 - C' d_2

1/dt + H is positive definite exactly if A > 0 and S has a Cholesky factor; dt is halved where it is not.
"""

import attrs
import torch
from torch import Tensor

from eb_dynamics_oim.pairs import Pairs

SHORTEST, LONGEST = 1e-9, 1e6
"""Where halving ends (a matrix that is still not positive definite is not finite), and where a step is Newton's own."""
SHRINK, GROW = 0.2, 4.0
"""Bounds on the factor by which dt changes from step to step."""


@attrs.frozen(eq=False)
class Blocks:
    """f and H of each sample, n eliminated units and m others.

    Args:
        force: f_1, (B, n); diagonal: D, (B, n).
        far_force: f_2, (B, m); far_diagonal: diagonal of R, (B, m); None if every unit is eliminated.
        coupling: C, (B, m, n).
        far_coupling: R without its diagonal, (B, m, m), None if that is zero.
    """

    force: Tensor
    diagonal: Tensor
    far_force: Tensor | None = None
    far_diagonal: Tensor | None = None
    coupling: Tensor | None = None
    far_coupling: Tensor | None = None

    def select(self, rows: Tensor) -> "Blocks":
        """The samples at `rows`."""
        values = (self.force, self.diagonal, self.far_force, self.far_diagonal, self.coupling, self.far_coupling)
        return Blocks(*(None if value is None else value[rows] for value in values))  # type: ignore[arg-type]

    def attempt(self, dt: Tensor) -> tuple[Tensor, Tensor]:
        """A step, and whether the matrix was positive definite, for each sample."""
        shift = (1 / dt).unsqueeze(1)
        near = self.diagonal + shift
        sound = (near > 0).all(1)
        if self.far_force is None or self.far_diagonal is None or self.coupling is None:
            return torch.where(sound.unsqueeze(1), self.force / near, 0.0), sound
        near = torch.where(sound.unsqueeze(1), near, 1.0)
        scaled = self.coupling / near.unsqueeze(1)
        complement = torch.diag_embed(self.far_diagonal + shift) - scaled @ self.coupling.transpose(1, 2)
        if self.far_coupling is not None:
            complement = complement + self.far_coupling
        identity = torch.eye(complement.shape[1], dtype=complement.dtype, device=complement.device)
        complement = torch.where(sound.view(-1, 1, 1), complement, identity)
        factor, info = torch.linalg.cholesky_ex(complement)
        sound = sound & (info == 0)
        factor = torch.where((info == 0).view(-1, 1, 1), factor, identity)
        right = self.far_force.unsqueeze(2) - scaled @ self.force.unsqueeze(2)
        far = torch.cholesky_solve(right, factor)
        step = (self.force - (self.coupling.transpose(1, 2) @ far).squeeze(2)) / near
        return torch.cat([step, far.squeeze(2)], dim=1), sound


def next_dt(dt: Tensor, before: Tensor, residual: Tensor, first: float) -> Tensor:
    """dt <- dt clip(r_old / r_new, .2, 4), between 0.1 of the first one and 1e6, (B,)."""
    factor = before / residual.clamp(min=torch.finfo(residual.dtype).tiny)
    return (dt * factor.clamp(SHRINK, GROW)).clamp(0.1 * first, LONGEST)


def solved(system: Blocks | Pairs, dt: Tensor) -> tuple[Tensor, Tensor]:
    """The step d, (B, n + m), and the dt, (B,), at which 1/dt + H was positive definite."""
    step, sound = system.attempt(dt)
    done = sound | ~(dt >= SHORTEST)  # a dt that is nan ends it too
    if bool(done.all()):
        return step, dt
    failed = (~done).nonzero()[:, 0]
    again, shorter = solved(system.select(failed), dt[failed] / 2)
    return step.index_put((failed,), again), dt.index_put((failed,), shorter)
