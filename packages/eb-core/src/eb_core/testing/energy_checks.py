"""What every energy promises: its force is minus the derivative of its energy, and a unit never climbs.

Spins have no force: their field says by how much the energy falls if one of them turns.
"""

import functools
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from eb_core.diagnostics.problems import all_phases, random_state, residual_by_definition
from eb_core.learning.fit import misfit
from eb_core.physics.domain import Domain
from eb_core.physics.energy import Energy
from eb_core.registry.setup import Setup
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.view import View
from eb_core.testing.kit import Suite, check_of
from eb_core.testing.report import SkippedError
from eb_core.testing.verdict import global_random_state_untouched, require, require_close

FAR = 1e6
"""Further than any wall."""
ROUNDING = 1e-12
"""Difference that two ways to the same figure may show, relative to the larger of it and 1."""
CLIMB = 1e-12
"""Rounding that a step which must not increase F may show, relative to |F| + 1."""


def check_energy(energy: Energy) -> int:
    """Check an energy on random nets in every phase; returns the number of phases checked.

    * force = -dF/ds by autograd, nudge included, for every layer; without derivative: a spin turns where F falls;
    * the residual is max |P(s - dF/ds) - s|, and 0 for spins none of which would turn; measured energies are E;
    * `minimize_unit` never increases F, in any layer and from any state;
    * domains are idempotent and know their walls, rest states lie in them;
    * nothing draws from a global generator.

    Raises:
        ConformanceError: naming the promise, the place and the size of the violation.
    """
    count = 0
    with global_random_state_untouched(type(energy).__name__):
        for where, problem in all_phases(energy):
            for _, _, look in PROMISES:
                look(problem, where)
            count += 1
    return count


def energy_suite(energy: Energy) -> Suite:
    """The promises of an energy, one test for each; see `check_energy`."""

    def each(look: Callable[[Problem, str], None]) -> None:
        if look is _check_forces and not energy.differentiable:
            raise SkippedError(f"units of {type(energy).__name__} have no derivative")
        for where, problem in all_phases(energy):
            look(problem, where)

    def quiet() -> None:
        with global_random_state_untouched(type(energy).__name__):
            each(_check_measures)

    first, *others = (
        check_of(name, promise, functools.partial(each, look), is_first=look is _check_fits)
        for name, promise, look in PROMISES
    )
    return first, *others, check_of("random state", "nothing draws from a global generator", quiet)


def _check_fits(problem: Problem, where: str) -> None:
    reason = misfit(Setup(energy=problem.energy, network=problem.network))
    require(reason is None, f"dense nets are supported ({reason})", where)


def _state(problem: Problem) -> State:
    return random_state(problem, seed=3)


def _check_forces(problem: Problem, where: str) -> None:
    if not problem.energy.differentiable:
        return
    state = _state(problem)
    units = {name: value.clone().requires_grad_() for name, value in state.units.items()}
    gradients = torch.autograd.grad(
        problem.objective(State(units)).sum(), [units[layer.name] for layer in problem.free_layers]
    )
    work = View(problem, state)
    for layer, gradient in zip(problem.free_layers, gradients, strict=True):
        force = problem.apply_clamp(layer.name, work.force(layer.name)) if layer.name not in problem.clamps else None
        if force is not None:
            require_close(force, -gradient, f"force on {layer.name} = -dF/ds", where, ROUNDING)


@torch.no_grad()
def _check_measures(problem: Problem, where: str) -> None:
    state = _state(problem)
    residual, total = View(problem, state).measure()
    require_close(total, problem.total_energy(state), "the measured energy is E", where, ROUNDING)
    with torch.enable_grad():
        expected = residual_by_definition(problem, state)
    require_close(residual, expected, "residual = max |P(s - dF/ds) - s|, or whether a spin would turn", where)


def _check_minima(problem: Problem, where: str) -> None:
    _check_descent(problem, _state(problem), where)
    _check_descent(problem, random_state(problem, seed=4, low=-1.3), f"{where}, states of either sign")


def _check_descent(problem: Problem, state: State, where: str) -> None:
    work = View(problem, state)
    before = problem.objective(state).detach()
    for layer in problem.free_layers:
        for _ in range(2):
            work.write(layer.name, work.minimized(layer.name).detach())
            after = problem.objective(work.state()).detach()
            climb = float(((after - before) / (before.abs() + 1)).max())
            require(climb <= CLIMB, f"minimize_unit on {layer.name} raised F by {climb:.2e}", where)
            before = after


def _check_walls(domain: Domain, name: str, s: Tensor, where: str) -> None:
    """What a projection stops is on a wall, and the distance to it is 0."""
    for far in (s + FAR, s - FAR):
        stopped = domain.project(far)
        moved = stopped != far
        walls = domain.at_wall(stopped)
        on_wall = torch.zeros_like(moved) if walls is None else walls
        require(torch.equal(on_wall, moved), f"at_wall of {name} says where a projection stops a unit", where)
        near = domain.wall_distance(stopped)[moved]
        require(not near.numel() or float(near.abs().max()) == 0, f"wall_distance of {name} is 0 on a wall", where)


def _check_domains(problem: Problem, where: str) -> None:
    state = _state(problem)
    energy, rest = problem.energy, problem.initial_state()
    for layer in problem.network.unit_layers:
        domain = energy.domain(layer)
        once = domain.project(3 * state[layer.name] - 1)
        require_close(domain.project(once), once, f"projecting {layer.name} twice changes nothing", where)
        if domain.differentiable:
            _check_walls(domain, layer.name, state[layer.name], where)
        if layer.name not in problem.clamps:
            require_close(domain.project(rest[layer.name]), rest[layer.name], "rest lies in the domain", where)
        require(float(domain.distance(once, once).abs().max()) == 0, "a state is at distance 0 from itself", where)
    output = problem.network.layers[problem.network.output]
    if not energy.domain(output).differentiable:
        return
    s = state[output.name].clone().requires_grad_()
    slope = torch.autograd.grad((energy.self_energy(output, s) + 0 * s).sum(), s, create_graph=True)[0]
    require_close(slope.detach(), energy.self_derivative(output, s).detach(), "self' = d self / ds", where)


PROMISES: Final[tuple[tuple[str, str, Callable[[Problem, str], None]], ...]] = (
    ("fits", "dense nets are supported", _check_fits),
    ("force", "the force is -dF/ds by autograd, nudge included", _check_forces),
    ("measure", "residual and energy are those of the state", _check_measures),
    ("minimum of a unit", "minimize_unit never increases F, in any layer and from any state", _check_minima),
    ("domains", "projections are idempotent and know their walls; rest lies in the domain", _check_domains),
)
"""Name, promise, and what looks at it in one phase."""
