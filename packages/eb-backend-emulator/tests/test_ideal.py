"""On a chip without limits every relaxer reaches the states that it reaches on the simulator."""

import pytest
import torch

from eb_backend_emulator.emulator import Emulator
from eb_core import Energy, Problem, Registry, Relaxer, Setup, State
from eb_core.learning.fit import misfit
from eb_core.learning.simulator import Simulator
from eb_core.testing import all_phases, random_network, random_state

REGISTRY = Registry.installed()
BRIEF = {"steps": 60, "nudged_steps": 40}
"""Budgets that end most phases before they are at rest: the whole way must be the same."""
CLOSE = 1e-9


def make(kind: str, name: str) -> object:
    component = REGISTRY.find(kind, name)
    options = BRIEF if kind == "relaxer" else {}
    return REGISTRY.load(kind, component)(**{**component.preset, **options})


def fitting() -> list[tuple[str, str]]:
    """Pairs (relaxer, energy) of everything registered."""
    pairs = [(relaxer, energy) for relaxer in REGISTRY.names("relaxer") for energy in REGISTRY.names("energy")]
    return [
        (relaxer, energy)
        for relaxer, energy in pairs
        if misfit(Setup(relaxer=make("relaxer", relaxer), energy=make("energy", energy))) is None
    ]


def settled_twice(problem: Problem, relaxer: Relaxer, start: State | None, emulator: Emulator) -> tuple[State, State]:
    """The states that simulator and emulator end in."""
    how = {"device": problem.x.device, "dtype": problem.x.dtype}
    states = []
    for backend in (Simulator(), emulator):
        with backend.open(problem.network, problem.energy, relaxer, **how) as session:
            states.append(session.settle(problem, start).state)
    return states[0], states[1]


def distance(problem: Problem, one: State, other: State) -> float:
    return max(
        float(problem.energy.domain(layer).distance(one[layer.name], other[layer.name]).max())
        for layer in problem.network.unit_layers
    )


def phases(energy: Energy, relaxer: Relaxer) -> list[tuple[str, Problem]]:
    """Those that a chip of any physics can settle: nudged by a quadratic cost, couplings that are matrices."""
    emulator, kept = Emulator(), []
    for name, problem in all_phases(energy):
        if problem.nudge is not None and problem.nudge.closed() is None:
            continue
        setup = Setup(network=problem.network, energy=energy, relaxer=relaxer, backend=emulator)
        if misfit(setup) is None:
            kept.append((name, problem))
    return kept


@pytest.mark.parametrize(("relaxer", "energy"), fitting())
def test_every_relaxer_settles_on_the_ideal_chip_as_on_the_simulator(relaxer: str, energy: str) -> None:
    dynamics, physics = make("relaxer", relaxer), make("energy", energy)
    tried = phases(physics, dynamics)
    assert len(tried) >= 18, "three dense nets: free, three nudges, two clamps"
    for name, problem in tried:
        for start in (None, random_state(problem, 3)):
            one, other = settled_twice(problem, dynamics, start, Emulator())
            where = f"{name}, from {'rest' if start is None else 'a given state'}"
            assert distance(problem, one, other) < CLOSE, where


def test_a_nudged_phase_that_follows_its_free_phase_keeps_the_momentum_of_csb() -> None:
    relaxer, energy = make("relaxer", "csb"), make("energy", "hopfield")
    free = next(problem for _, problem in all_phases(energy))
    nudged = next(problem for _, problem in all_phases(energy) if problem.nudge is not None)
    nudged = free.nudged(nudged.nudge.cost, nudged.nudge.target, 0.3)
    ends = []
    for backend in (Simulator(), Emulator()):
        with backend.open(free.network, energy, relaxer, device=free.x.device, dtype=free.x.dtype) as session:
            start = session.settle(free).state
            ends.append(session.settle(nudged, start).state)
    assert distance(nudged, *ends) < CLOSE


@pytest.mark.parametrize("energy", ["hopfield", "oim", "cim"])
def test_a_float32_network_settles_as_on_the_simulator_to_rounding(energy: str) -> None:
    physics = make("energy", energy)
    network = random_network(physics).float()
    problem = Problem.free(network, physics, torch.rand(6, 5, generator=torch.Generator().manual_seed(1)))
    relaxer = make("relaxer", "hopfield")
    one, other = settled_twice(problem, relaxer, None, Emulator())
    assert one["hidden1"].dtype == other["hidden1"].dtype == torch.float32
    assert distance(problem, one, other) < 1e-5


def test_the_chip_reads_states_in_its_own_units_and_is_set_to_them_in_these(chip_of: object) -> None:
    chip = chip_of("ideal", ranges={"hidden": [-3.0, 5.0]})
    relaxer, energy = make("relaxer", "hopfield"), make("energy", "hopfield")
    problem = next(problem for _, problem in all_phases(energy))
    for start in (None, random_state(problem, 3)):
        assert distance(problem, *settled_twice(problem, relaxer, start, Emulator(chip=chip))) < CLOSE


def test_a_chip_that_owns_the_input_product_settles_as_one_that_gets_fields(chip_of: object) -> None:
    chip = chip_of("ideal", inputs="units")
    relaxer, energy = make("relaxer", "hopfield"), make("energy", "hopfield")
    for _, problem in phases(energy, relaxer):
        assert distance(problem, *settled_twice(problem, relaxer, None, Emulator(chip=chip))) < CLOSE


def test_a_chip_with_a_constant_current_differs_by_the_square_of_beta(chip_of: object) -> None:
    chip, energy = chip_of("ideal", nudge="current"), make("energy", "hopfield")
    relaxer = REGISTRY.load("relaxer", REGISTRY.find("relaxer", "hopfield"))(steps=300, nudged_steps=300, tol=0.0)
    free = next(problem for _, problem in all_phases(energy))
    nudge = next(problem.nudge for _, problem in all_phases(energy) if problem.nudge is not None)
    apart = []
    for beta in (0.01, 0.001):
        nudged, ends = free.nudged(nudge.cost, nudge.target, beta), []
        for backend in (Simulator(), Emulator(chip=chip)):
            with backend.open(free.network, energy, relaxer, device=free.x.device, dtype=free.x.dtype) as session:
                ends.append(session.settle(nudged, session.settle(free).state).state)
        apart.append(distance(nudged, *ends))
    assert 50 < apart[0] / apart[1] < 200
