"""Pseudo-transient Newton: implicit Euler steps whose length grows as the force falls, to the same stationary points.

    (1/dt + H) d = f = -dF/dphi;   phi <- phi + d min(1, .8 / max|d|)
    H_ii = Fc cos phi + Fs sin phi + 2 S' cos 2 phi,   H_ij = -W_ij cos(phi_i - phi_j)
    dt_0 = 2;   dt <- dt clip(r_old / r_new, .2, 4), at least .2;   r = max|f|

dt is halved until 1/dt + H is positive definite, so that every step descends and the end is no saddle. Layers without
an edge between them have a diagonal block in H: it is eliminated exactly, and what is left, the Schur complement on
the other layers (the output alone with one hidden layer), is factorised by Cholesky. Everything is done for each
sample by itself. C. T. Kelley, D. E. Keyes, "Convergence analysis of pseudo-transient continuation" (1998).
"""

from collections.abc import Iterable

from torch import Tensor

from eb_core import Diagnostic, Setup, View, configurable, option, refuse
from eb_dynamics_oim.energy import OscillatorEnergy
from eb_dynamics_oim.hessian import Groups, local, not_dense
from eb_dynamics_oim.phases import PhaseRelaxer
from eb_dynamics_oim.schur import SHRINK, next_dt, solved


@configurable
class NewtonPhases(PhaseRelaxer):
    """(1/dt + H) d = -dF/dphi with the exact Hessian; needs dense edges, any number of layers."""

    steps: int = option(default=150, help="largest number of steps in the free phase", unit="iterations", ge=1)
    nudged_steps: int = option(default=60, help="largest number of steps in a nudged phase", unit="iterations", ge=1)
    check_every: int = option(default=4, help="steps between two looks at the residual", unit="iterations", ge=1)
    dt: float = option(default=2.0, help="first pseudo time step, and with 0.1 of it the shortest", unit="time", gt=0)
    reach: float = option(default=0.8, help="longest move of a phase in one step", unit="rad", gt=0)

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if setup.energy is not None and type(setup.energy) is not OscillatorEnergy:
            kind = type(setup.energy).__name__
            yield refuse(f"this Hessian is that of phases, not of {kind}; use oim-heavy-ball or hopfield")
        unwritten = None if setup.network is None else not_dense(setup.network)
        if unwritten:
            yield refuse(unwritten)

    def init(self, view: View, resumed: bool) -> None:
        super().init(view, resumed)
        view.remember("newton.dt", view.like.new_full((view.batch,), self.dt / SHRINK))
        view.remember("newton.residual", view.like.new_zeros(view.batch))

    def step(self, view: View) -> None:
        if "newton" not in view.prepared:
            view.prepared["newton"] = Groups(view)
        groups: Groups = view.prepared["newton"]
        looked = view.evaluate(local)
        residual: Tensor = looked[:, : groups.width].abs().amax(1)
        dt = next_dt(view.memory["newton.dt"], view.memory["newton.residual"], residual, self.dt)
        step, dt = solved(groups.system(view, looked), dt)
        step = step * (self.reach / step.abs().amax(1).clamp(min=self.reach)).unsqueeze(1)
        view.remember("newton.dt", dt)
        view.remember("newton.residual", residual)
        for name, part in groups.cut(step).items():
            view.write(name, view.units[name] + part)
