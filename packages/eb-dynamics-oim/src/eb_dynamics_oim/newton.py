"""Pseudo-transient Newton: implicit Euler steps whose length grows as the force falls, to the same stationary points.

    (1/dt + H) d = f = -dF/dphi;   phi <- phi + d min(1, .8 / max|d|)
    H_ii = Fc cos phi + Fs sin phi + 2 S' cos 2 phi,   H_ij = -W_ij cos(phi_i - phi_j)
    dt_0 = 2;   dt <- dt clip(r_old / r_new, .2, 4), at least .2;   r = max|f|

dt is halved until 1/dt + H is positive definite, so that every step descends and the end is no saddle. Layers without
an edge between them have a diagonal block in H: it is eliminated exactly, and what is left, the Schur complement on
the other layers (the output alone with one hidden layer), is factorised by Cholesky. Everything is done for each
sample by itself. C. T. Kelley, D. E. Keyes, "Convergence analysis of pseudo-transient continuation" (1998).
"""

from torch import Tensor

from eb_core import Energy, Network, Workspace, configurable, option
from eb_dynamics_oim.energy import OscillatorEnergy
from eb_dynamics_oim.fused_newton import FusedNewton
from eb_dynamics_oim.hessian import Hessian, not_dense
from eb_dynamics_oim.phases import PhaseRelaxer
from eb_dynamics_oim.schur import next_dt, solved


@configurable
class NewtonPhases(PhaseRelaxer):
    """(1/dt + H) d = -dF/dphi with the exact Hessian; needs dense edges, any number of layers."""

    steps: int = option(default=150, help="largest number of steps in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(default=60, help="largest number of steps in a nudged phase", unit="iterations", ge=1)
    check_every: int = option(default=4, help="steps between two looks at the residual", unit="iterations", ge=1)
    dt: float = option(default=2.0, help="first pseudo time step, and with 0.1 of it the shortest", unit="time", gt=0)
    reach: float = option(default=0.8, help="longest move of a phase in one step", unit="rad", gt=0)

    def why_not(self, energy: Energy) -> str | None:
        if type(energy) is not OscillatorEnergy:
            return f"this Hessian is that of phases, not of {type(energy).__name__}; use oim-heavy-ball or hopfield"
        return None

    def why_not_on(self, network: Network) -> str | None:
        return not_dense(network)

    def sweeps(self, work: Workspace, count: int) -> None:
        if work.plan is None:
            plain = Hessian(work)
            work.plan = FusedNewton.of(work, plain.near, plain.far) or plain
        if isinstance(work.plan, FusedNewton):
            work.plan.run(count, self.dt, self.reach)
        else:
            super().sweeps(work, count)

    def unrest(self, work: Workspace) -> Tensor:
        return work.plan.residual() if isinstance(work.plan, FusedNewton) else super().unrest(work)

    def sweep(self, work: Workspace) -> None:
        if not isinstance(work.plan, Hessian):
            work.plan = Hessian(work)
        blocks, residual = work.plan.blocks()
        dt = next_dt(work.memory.get("newton.dt"), work.memory.get("newton.residual"), residual, self.dt)
        step, dt = solved(blocks, dt)
        step = step * (self.reach / step.abs().amax(1).clamp(min=self.reach)).unsqueeze(1)
        work.remember("newton.dt", dt)
        work.remember("newton.residual", residual)
        work.plan.move(step)
