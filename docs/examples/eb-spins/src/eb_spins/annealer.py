"""Simulated annealing by Gibbs sweeps.

    P(s_i = +1) = sigma(2 g_i / T)   <=>   s_i = sign(g_i + T/2 L),  L logistic noise

so a Gibbs update is a minimisation of the unit in a noisy field. T falls geometrically from hot to cold; then a few
sweeps at T = 0.
"""

import torch

from eb_core import Properties, Relaxation, Relaxer, Trace, View, configurable, option, refuse


@configurable
class Annealer(Relaxer):
    """Gibbs sweeps, layer after layer, T = hot (cold / hot)^(k / (sweeps - 1)); the best of several reads."""

    sweeps: int = option(default=60, help="sweeps of one read of the free phase", unit="sweeps", ge=1)
    nudged_sweeps: int = option(default=30, help="the same in nudged and clamped phases", unit="sweeps", ge=1)
    quench: int = option(default=5, help="sweeps at T = 0 at the end of each read", unit="sweeps", ge=0)
    hot: float = option(default=2.0, help="first temperature of the free phase", unit="energy", gt=0)
    nudged_hot: float = option(
        default=0.3,
        help="first temperature of nudged phases, which start from the free state",
        unit="energy",
        gt=0,
        phases=("nudged", "clamped"),
    )
    cold: float = option(default=0.05, help="last temperature", unit="energy", gt=0)
    reads: int = option(default=1, help="annealings of each sample, of which the best counts", ge=1)

    def properties(self):
        """It reads no force."""
        return Properties(needs_force=False)

    def check(self, setup):
        """Refuse what is no spin."""
        if setup.energy is not None and setup.energy.differentiable:
            kind = type(setup.energy).__name__
            yield refuse(f"it turns spins, and units of {kind} move continuously: use hopfield or gradient-flow")

    def temperature(self, phase, k):
        """Of sweep k of a read; 0 in the quench."""
        sweeps = self.sweeps if phase == "free" else self.nudged_sweeps
        if k >= sweeps:
            return 0.0
        hot = self.hot if phase == "free" else self.nudged_hot
        return hot * (self.cold / hot) ** (k / max(sweeps - 1, 1))

    def period(self, phase):
        return (self.sweeps if phase == "free" else self.nudged_sweeps) + self.quench

    def sweep(self, work, temperature):
        for name in work.order():
            field = work.field(name)
            if temperature:
                logistic = torch.logit(work.uniform(name), eps=1e-9)
                field = field + 0.5 * temperature * logistic
            work.write(name, work.minimized(name, field=field))

    def _run(self, problem, start, steps, generator, trace=None):
        """`steps` sweeps, reads one after the other, each from `start`; the best end of a read, or where it stands."""
        work = View(problem, start, generator)
        period = self.period(problem.phase)
        best = lowest = None
        if trace is not None:
            trace.append((work.measure()[0], problem.objective(work.state())))
        for step in range(steps):
            k = step % period
            if k == 0 and step:
                work = View(problem, start, generator)
            self.sweep(work, self.temperature(problem.phase, k))
            if trace is not None:
                trace.append((work.measure()[0], problem.objective(work.state())))
            if k == period - 1 or step == steps - 1:
                state = work.state()
                value = problem.objective(state)
                if best is None:
                    best, lowest = state, value
                else:
                    better = value < lowest
                    best = type(state)(
                        {
                            name: torch.where(better.view(-1, *[1] * (s.dim() - 1)), s, best.units[name])
                            for name, s in state.units.items()
                        }
                    )
                    lowest = torch.where(better, value, lowest)
        return best if best is not None else work.state()

    def relax(self, problem, start=None, *, generator=None, trace=False):
        start = problem.initial_state() if start is None else start
        steps = self.reads * self.period(problem.phase)
        way = [] if trace else None
        with torch.no_grad():
            state = self._run(problem, start, steps, generator, way)
        count = torch.full((problem.batch,), steps, dtype=torch.int64, device=problem.x.device)
        seen = self._trace(way) if trace else None
        return Relaxation(problem, state, count, trace=seen)

    @staticmethod
    def _trace(way):
        residual, energy = (torch.stack(column) for column in zip(*way, strict=True))
        return Trace(energy=energy, residual=residual)

    def iterate(self, problem, state, steps, *, generator=None):
        return self._run(problem, state, steps, generator)
