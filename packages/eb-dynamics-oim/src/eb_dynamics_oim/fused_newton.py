"""Newton steps for two free layers joined by one dense edge, without ever writing out their coupling.

    C_oi = -W_oi (c_o c_i + s_o s_i),   A_i = H_ii + 1/dt
    (C A^-1 C')_op = c_o c_p M^cc_op + (c_o s_p + s_o c_p) M^cs_op + s_o s_p M^ss_op
    M^uv_op = sum_i W_oi W_pi u_i v_i / A_i

so that the Schur complement of a batch is one product with the fixed matrix of pairs W_oi W_pi, o <= p.
"""

import torch
from torch import Tensor

from eb_core import Workspace
from eb_dynamics_oim.fused import FusedPhases
from eb_dynamics_oim.schur import SHORTEST, next_dt

LARGEST = 4_000_000
"""Most entries of the matrix of pairs; beyond it the plain step is no slower."""


class FusedNewton:
    """Newton steps of one workspace; `of` says whether they can be had."""

    def __init__(self, work: Workspace, kernel: FusedPhases, near: str, far: str, weight: Tensor) -> None:
        self._work, self._kernel = work, kernel
        self.residual = kernel.residual
        self._near, self._far = kernel.columns[near], kernel.columns[far]
        self._weight = weight.contiguous()
        size = len(weight)
        rows, others = torch.tril_indices(size, size, device=weight.device)
        self._pairs = -(self._weight[rows] * self._weight[others]).t()
        self._gather = torch.cat([rows, rows + size, others, others + size])
        self._places = rows * size + others

    @staticmethod
    def of(work: Workspace, near: tuple[str, ...], far: tuple[str, ...]) -> "FusedNewton | None":
        """The fused step, or None where the plain one must serve."""
        if len(near) != 1 or len(far) != 1:
            return None
        n, m = work.layers[near[0]].size, work.layers[far[0]].size
        kernel = FusedPhases.of(work) if n * m * m <= LARGEST else None
        if kernel is None:
            return None
        edges = [edge for edge in work.problem.network.wires if {edge.pre, edge.post} == {near[0], far[0]}]
        weight = edges[0].weight.detach()
        return FusedNewton(work, kernel, near[0], far[0], weight if edges[0].post == far[0] else weight.t())

    def run(self, count: int, first: float, reach: float) -> None:
        """So many steps, the first with dt = first, none moving a phase by more than reach."""
        work, kernel = self._work, self._kernel
        kept = kernel.kept(kernel.phase)
        dt, before = work.memory.get("newton.dt"), work.memory.get("newton.residual")
        for _ in range(count):
            force = kernel.push()
            residual = force.abs().amax(1)
            dt = next_dt(dt, before, residual, first)
            step, dt = self._solved(force, kernel.curvature(), dt)
            kernel.phase.addcmul_(step, (reach / step.abs().amax(1, keepdim=True).clamp(min=reach)))
            before = residual
        kernel.restore(kernel.phase, kept)
        if dt is not None and before is not None:
            work.remember("newton.dt", dt)
            work.remember("newton.residual", before)
        kernel.write()

    def _solved(self, force: Tensor, diagonal: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """The step and its dt, halved where the matrix was not positive definite."""
        cos, sin = self._kernel.cos, self._kernel.sin
        step, sound = self._attempt(force, diagonal, cos, sin, dt)
        rows = torch.arange(len(dt), device=dt.device)
        while not bool(sound.all()):
            rows = rows[~sound]
            dt = dt.index_copy(0, rows, dt[rows] / 2)
            again, sound = self._attempt(force[rows], diagonal[rows], cos[rows], sin[rows], dt[rows])
            step = step.index_copy(0, rows, again)
            sound = sound | ~(dt[rows] >= SHORTEST)  # a dt that is nan ends it too
        return step, dt

    def _attempt(self, force: Tensor, diagonal: Tensor, cos: Tensor, sin: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """The step at these dt, and whether 1/dt + H is positive definite, for each sample."""
        near, far, batch = self._near, self._far, len(dt)
        shifted = diagonal + (1 / dt).unsqueeze(1)
        positive = (shifted[:, near] > 0).all(1)
        inverse = shifted[:, near].reciprocal()
        codes = torch.stack([cos[:, near], sin[:, near]])
        scaled = codes * inverse
        sums = torch.cat([scaled * codes[0], (scaled[1] * codes[1]).unsqueeze(0)]).flatten(0, 1) @ self._pairs
        cc, cs, ss = sums.view(3, batch, -1)
        co, so = cos[:, far], sin[:, far]
        c, s, c_other, s_other = torch.cat([co, so], dim=1)[:, self._gather].chunk(4, dim=1)
        lower = (c * c_other).mul_(cc).addcmul_((c * s_other).addcmul_(s, c_other), cs).addcmul_(s * s_other, ss)
        size = co.shape[1]
        complement = force.new_zeros(batch, size * size).index_copy_(1, self._places, lower).view(batch, size, size)
        complement.diagonal(dim1=1, dim2=2).add_(shifted[:, far])
        factor, info = torch.linalg.cholesky_ex(complement)
        sound = positive & (info == 0)
        pushed = ((scaled * force[:, near]).flatten(0, 1) @ self._weight.t()).view(2, batch, size)
        right = force[:, far] + co * pushed[0] + so * pushed[1]
        moved = torch.cholesky_solve(right.unsqueeze(2), factor).squeeze(2)
        back = (torch.cat([co * moved, so * moved]) @ self._weight).view(2, batch, -1)
        step = torch.empty_like(force)
        step[:, far] = moved
        step[:, near] = inverse * force[:, near] + (scaled * back).sum(0)
        return step, sound
