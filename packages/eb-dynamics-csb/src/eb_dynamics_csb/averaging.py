"""The mean of the last states of a phase: what is left of noise on the fields."""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from eb_core import IterativeRelaxer, Problem, Relaxation, State, Trace, Workspace


def mean(last: Sequence[Mapping[str, Tensor]], work: Workspace) -> State:
    """The mean of states, clamped units at their values, with the memory that the work ends with."""
    units = {name: torch.stack([one[name] for one in last]).mean(0) for name in last[0]}
    return State({name: work.problem.apply_clamp(name, value) for name, value in units.items()}, dict(work.memory))


@torch.no_grad()
def averaged(
    relaxer: IterativeRelaxer, work: Workspace, budget: int, count: int, tol: Tensor | None, trace: bool
) -> Relaxation:
    """Run the whole budget and hand back the mean of the last `count` states; the trace is that of the single states.

    Args:
        tol: tolerance of each sample (B,) that says whether the mean has converged, or None.
    """
    problem: Problem = work.problem
    last: list[Mapping[str, Tensor]] = []
    way = [(problem.objective(work.state()), work.residual())] if trace else []
    for step in range(budget):
        relaxer.sweeps(work, 1)
        if budget - step <= count:
            last.append({name: value.clone() for name, value in work.units.items()})
        if trace:
            way.append((problem.objective(work.state()), work.residual()))
    energies, residuals = ([one[part] for one in way] for part in (0, 1))
    steps = torch.full((problem.batch,), budget, device=problem.x.device)
    recorded = Trace(torch.stack(energies), torch.stack(residuals)) if trace else None
    result = Relaxation(problem, mean(last, work), steps, trace=recorded)
    work.release()
    return result if tol is None else attrs.evolve(result, converged=result.residual <= tol)
