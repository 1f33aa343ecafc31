"""What every relaxer promises: `relax` is `iterate`, samples do not see each other, reports are true."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs
import torch

from eb_core.diagnostics.measure import measure_relaxer
from eb_core.diagnostics.problems import all_phases, random_state, residual_by_definition
from eb_core.learning.fit import misfit
from eb_core.physics.energy import Energy
from eb_core.registry import Registry
from eb_core.registry.setup import Setup
from eb_core.settling.buffers import Buffers
from eb_core.settling.iterative import IterativeRelaxer
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State
from eb_core.testing.defaults import fitting_energy
from eb_core.testing.kit import Suite, check_of
from eb_core.testing.report import SkippedError
from eb_core.testing.verdict import global_random_state_untouched, require, require_close, require_findings


def check_relaxer(relaxer: Relaxer, energy: Energy) -> int:
    """Check a relaxer on random nets of `energy` in every phase; returns the number of phases checked.

    * sample b of `relax` equals `iterate` for the number of steps that `relax` reports for it, alone in a batch; with
      noise, which is drawn for a batch, in the same batch;
    * a batch settles in the buffers of a session, after others, as it does alone: its step, noted and repeated, is
      the step, and keeps nothing of a batch (`Buffers`);
    * energy and residual are those of the state that comes back, `converged` follows from the tolerance;
    * clamped units keep their values, states lie in their domains, dtype and shapes are kept;
    * the states it starts from, and their memory, are not changed, and nothing draws from a global generator;
    * `iterate` is differentiable in the input.

    Raises:
        ConformanceError: naming the promise, the place and the size of the violation.
    """
    _require_fit(relaxer, energy)
    count = 0
    for settled in _settled(relaxer, energy):
        for _, _, look in PROMISES:
            look(settled)
        count += 1
    if energy.differentiable:
        _check_differentiable(relaxer, settled.problem, settled.where)
    return count


def relaxer_suite(relaxer: Relaxer, energy: Energy | None = None) -> Suite:
    """The promises of a relaxer on one energy, one test for each; see `check_relaxer` and `check_settles`.

    Args:
        relaxer: the dynamics, at the options that are to be checked.
        energy: its physics; default: that of a run without options if it fits, else the first installed one that does.

    Raises:
        UsageError: no energy that is installed fits.
    """
    physics = energy or fitting_energy(Registry.installed(), relaxer)

    @functools.cache
    def phases() -> tuple[Settled, ...]:
        return tuple(_settled(relaxer, physics))

    def each(look: Callable[[Settled], None]) -> None:
        for settled in phases():
            look(settled)

    def differentiable() -> None:
        if not physics.differentiable:
            raise SkippedError(f"units of {type(physics).__name__} have no derivative")
        settled = phases()[-1]
        _check_differentiable(relaxer, settled.problem, settled.where)

    def stationary() -> None:
        require_findings(measure_relaxer("", relaxer, physics))

    fits = functools.partial(_require_fit, relaxer, physics)
    return (
        check_of("fits", f"{type(physics).__name__} is supported", fits, is_first=True),
        *(check_of(name, promise, functools.partial(each, look)) for name, promise, look in PROMISES),
        check_of("settles", "amply settled it stands at a minimum, and its residual says so", stationary),
        check_of("differentiable", "iterate is differentiable in the input", differentiable),
    )


def _require_fit(relaxer: Relaxer, energy: Energy) -> None:
    reason = misfit(Setup(energy=energy, relaxer=relaxer))
    require(reason is None, f"{type(energy).__name__} is supported ({reason})", type(relaxer).__name__)


@attrs.frozen(eq=False)
class Settled:
    """One phase that was settled.

    Args:
        start: where from; `kept` a copy of it that was made before.
        noisy: whether the dynamics drew noise.
    """

    relaxer: Relaxer
    problem: Problem
    where: str
    start: State
    kept: State
    relaxation: Relaxation
    noisy: bool


def _settled(relaxer: Relaxer, energy: Energy) -> Iterator[Settled]:
    """Every phase on every net that fits."""
    for where, problem in all_phases(energy):
        if misfit(Setup(energy=energy, relaxer=relaxer, network=problem.network)):
            continue
        start = random_state(problem, seed=5)
        kept = start.map(torch.clone)
        source = _generator()
        with global_random_state_untouched(where):
            relaxation = relaxer.relax(problem, start, generator=source)
        noisy = not torch.equal(source.get_state(), _generator().get_state())
        yield Settled(relaxer, problem, where, start, kept, relaxation, noisy)


def check_settles(relaxers: Sequence[Relaxer], energy: Energy, tolerance: float = 1e-6) -> int:
    """Check that relaxers with ample budgets reach the same minimum of convex energies (coupling norm below 1).

    Raises:
        ConformanceError: one has not converged, or ends elsewhere than the first one.
    """
    count = 0
    for where, problem in all_phases(energy):
        if not problem.network.linear:
            continue  # not convex: several minima
        fitting = [
            relaxer
            for relaxer in relaxers
            if misfit(Setup(energy=energy, relaxer=relaxer, network=problem.network)) is None
        ]
        ends = [relaxer.relax(problem, generator=_generator()) for relaxer in fitting]
        for relaxer, end in zip(fitting, ends, strict=True):
            place = f"{relaxer}, {where}"
            require(end.converged is not None and bool(end.converged.all()), "it converges on a convex energy", place)
            for layer in problem.network.unit_layers:
                distance = energy.domain(layer).distance(end.state[layer.name], ends[0].state[layer.name])
                require(
                    float(distance.max()) <= tolerance, f"the minimum is unique: off by {distance.max():.1e}", place
                )
        count += 1
    return count


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def _unchanged(state: State, kept: State, where: str) -> None:
    for name, value in state.units.items():
        require(torch.equal(value, kept[name]), f"the start state of {name} is left alone", where)
    require(state.memory.keys() == kept.memory.keys(), "the memory of the start state keeps its names", where)
    for name, value in state.memory.items():
        require(torch.equal(value, kept.memory[name]), f"the memory {name} of the start state is left alone", where)


def _check_left_alone(settled: Settled) -> None:
    """Its start, and two more iterations of a state with memory change neither."""
    _unchanged(settled.start, settled.kept, settled.where)
    state = settled.relaxation.state
    kept = state.map(torch.clone)
    settled.relaxer.iterate(settled.problem, state, 2, generator=_generator())
    _unchanged(state, kept, settled.where)


def _check_report(settled: Settled) -> None:
    problem, relaxation, where = settled.problem, settled.relaxation, settled.where
    state = relaxation.state
    for layer in problem.network.unit_layers:
        value = state[layer.name]
        require(value.dtype == problem.x.dtype, f"{layer.name} keeps its dtype", where)
        require(tuple(value.shape) == (problem.batch, *layer.shape), f"{layer.name} keeps its shape", where)
        require(
            torch.equal(problem.apply_clamp(layer.name, value), value), f"clamped units of {layer.name} stay", where
        )
        if layer.name not in problem.clamps:
            projected = problem.energy.domain(layer).project(value)
            require(torch.equal(projected, value), f"{layer.name} stays in its domain", where)
    with torch.no_grad():
        require_close(relaxation.energy, problem.total_energy(state), "energy is E of the state", where)
    counted = relaxation.steps is not None and tuple(relaxation.steps.shape) == (problem.batch,)
    require(counted, "steps has one number for each sample", where)
    if relaxation.residual is not None:
        expected = residual_by_definition(problem, state)
        require_close(relaxation.residual, expected, "residual is that of the state", where)


def _check_samples(settled: Settled) -> None:
    relaxer, problem, start = settled.relaxer, settled.problem, settled.start
    relaxation, noisy, where = settled.relaxation, settled.noisy, settled.where
    for row in range(0, problem.batch, 2):  # every other one: the check that takes longest
        rows = torch.arange(problem.batch) if noisy else torch.tensor([row])
        steps = int(relaxation.steps[row])  # type: ignore[index]
        again = relaxer.iterate(problem.select(rows), start.select(rows), steps, generator=_generator()).detach()
        for layer in problem.network.unit_layers:
            states = relaxation.state[layer.name][row], again[layer.name][row if noisy else 0]
            distance = problem.energy.domain(layer).distance(*states)
            way = "iterations" if noisy else "iterations of it alone"
            promise = f"sample {row} of relax = {steps} {way}: {layer.name} off by {distance.max():.1e}"
            require(float(distance.max()) <= 1e-9, promise, where)


def _check_buffers(settled: Settled) -> None:
    """Settle three batches in the buffers of one session: the last is as if it had been alone."""
    relaxer, problem, where = settled.relaxer, settled.problem, settled.where
    if not isinstance(relaxer, IterativeRelaxer):
        return
    buffers, rows = Buffers(), torch.arange(problem.batch)
    batches = [problem.select(rows.roll(shift)) for shift in range(3)]
    for seed, batch in enumerate(batches):
        start = random_state(batch, seed=seed)
        ended = relaxer.relax(batch, start, generator=_generator(), buffers=buffers)
    alone = relaxer.relax(batch, start, generator=_generator())
    for layer in problem.network.unit_layers:
        distance = problem.energy.domain(layer).distance(ended.state[layer.name], alone.state[layer.name]).max()
        promise = (
            f"a batch settles in the buffers of a session as it does alone (a step keeps nothing of a batch and counts "
            f"nothing in Python): {layer.name} off by {distance:.1e}"
        )
        require(float(distance) <= 1e-9, promise, where)


def _check_differentiable(relaxer: Relaxer, problem: Problem, where: str) -> None:
    start = random_state(problem, seed=9)
    direction = torch.randn(problem.x.shape, generator=_generator(), dtype=problem.x.dtype)

    def outcome(x: torch.Tensor) -> torch.Tensor:
        free = Problem.free(problem.network, problem.energy, x)
        state = relaxer.iterate(free, start, 3, generator=_generator())
        return sum((value.square().sum() for value in state.units.values()), x.new_zeros(()))

    x = problem.x.clone().requires_grad_()
    slope = float((torch.autograd.grad(outcome(x), x)[0] * direction).sum())
    step = 1e-6
    with torch.no_grad():
        quotient = float(outcome(problem.x + step * direction) - outcome(problem.x - step * direction)) / (2 * step)
    require(abs(slope - quotient) <= 1e-5 * (abs(quotient) + 1), "iterate is differentiable in the input", where)


PROMISES: Final[tuple[tuple[str, str, Callable[[Settled], None]], ...]] = (
    ("left alone", "start states and their memory are not changed", _check_left_alone),
    ("report", "energy, residual and steps are those of the state, clamps and domains hold", _check_report),
    ("samples alone", "a sample of a batch ends as the same iterations end of it alone", _check_samples),
    ("buffers", "a batch settles in the buffers of a session as it does alone", _check_buffers),
)
"""Name, promise, and what looks at it in one phase that was settled."""
