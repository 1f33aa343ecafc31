"""Settling in bfloat16 but for the last iterations: every dynamics on every physics, in one stage and in two."""

from typing import Any

import pytest
import torch
from registered import fitting_relaxers, make

from eb_core import Energy, Network, Problem, Relaxation, Relaxer, Setup, UsageError, make_network
from eb_core.learning.fit import misfit

CPU = torch.device("cpu")
MIXED = make("backend", "simulator", precision="bfloat16")
PAIRS = [
    (relaxer, energy)
    for relaxer, energy in fitting_relaxers()
    if misfit(Setup(backend=MIXED, energy=make("energy", energy), relaxer=make("relaxer", relaxer))) is None
]


def network_for(energy: Energy, relaxer: Relaxer) -> Network:
    """Two conv layers without maxima, or one dense layer for dynamics that want it; in float32."""
    for model in (
        make("model", "dchn", width=3, growth=(1, 1), pool=("avg",), gain=(0.7,)),
        make("model", "mlp", hidden=(6,), gain=(0.7,)),
    ):
        shape = (1, 8, 8) if model.__class__.__name__ == "DCHN" else (64,)
        network = make_network(model, energy, shape, 3, generator=torch.Generator().manual_seed(0))
        if misfit(Setup(energy=energy, relaxer=relaxer, network=network)) is None:
            return network
    raise AssertionError("no network suits this dynamics")


def settled(relaxer: Relaxer, energy: Energy, network: Network, phase: str = "free", **options: Any) -> Relaxation:
    session = make("backend", "simulator", **options).open(network, energy, relaxer, device=CPU, dtype=torch.float32)
    x = torch.rand(4, *network.layers[network.input].shape, generator=torch.Generator().manual_seed(1))
    problem = Problem.free(network, energy, x)
    free = session.settle(problem, generator=torch.Generator().manual_seed(2))
    if phase == "free":
        return free
    cost = make("cost", "squared-error")
    target = cost.encode(torch.tensor([0, 1, 2, 0]), 3, energy, torch.float32)
    return session.settle(problem.nudged(cost, target, 0.2), free.state, generator=torch.Generator().manual_seed(2))


def distance(one: Relaxation, other: Relaxation) -> float:
    return max(float((one.state[layer] - other.state[layer]).abs().max()) for layer in one.state.units)


def test_most_dynamics_can_be_divided() -> None:
    assert {"hopfield", "hopfield-sync", "gradient-flow", "csb", "cim-block"} <= {name for name, _ in PAIRS}


@pytest.mark.parametrize("phase", ["free", "nudged"])
@pytest.mark.parametrize(("name", "physics"), PAIRS)
def test_what_comes_out_is_float32_and_the_same_but_for_rounding(name: str, physics: str, phase: str) -> None:
    energy, relaxer = make("energy", physics), make("relaxer", name, steps=12, nudged_steps=8, tol=0.0)
    network = network_for(energy, relaxer)
    full = settled(relaxer, energy, network, phase)
    rough = settled(relaxer, energy, network, phase, precision="bfloat16", polish=0)
    polished = settled(relaxer, energy, network, phase, precision="bfloat16", polish=3)
    for found in (rough, polished):
        assert found.steps.tolist() == full.steps.tolist()
        assert {name: v.dtype for name, v in found.state.memory.items()} == {
            name: v.dtype for name, v in full.state.memory.items()
        }
        assert all(value.dtype == torch.float32 for value in found.state.units.values())
        assert found.residual.dtype == torch.float32
        assert distance(found, full) < 0.05


@pytest.mark.parametrize("name", ["hopfield", "csb"])
def test_the_rough_iterations_are_rounded_and_the_last_ones_forget_it(name: str) -> None:
    energy, relaxer = make("energy", "hopfield"), make("relaxer", name, steps=40, tol=0.0)
    network = network_for(energy, relaxer)
    full = settled(relaxer, energy, network)
    rough = distance(settled(relaxer, energy, network, precision="bfloat16", polish=0), full)
    assert 1e-4 < rough < 1e-2
    assert distance(settled(relaxer, energy, network, precision="bfloat16", polish=20), full) < 1e-6
    assert distance(settled(relaxer, energy, network, precision="bfloat16", polish=40), full) == 0


def test_a_tolerance_is_judged_by_the_polished_residual() -> None:
    energy, relaxer = make("energy", "hopfield"), make("relaxer", "hopfield", steps=60, tol=1e-5)
    network = network_for(energy, relaxer)
    found = settled(relaxer, energy, network, precision="bfloat16", polish=30)
    assert bool(found.converged.all())
    assert float(found.residual.max()) <= 1e-5
    assert 3 < int(found.steps.max()) < 60


def test_the_input_drive_is_not_rounded() -> None:
    energy, relaxer = make("energy", "hopfield"), make("relaxer", "hopfield", steps=5, tol=0.0)
    network = network_for(energy, relaxer)
    found = settled(relaxer, energy, network, precision="bfloat16", polish=2)
    layer = network.unit_layers[0]
    fresh = Problem.free(network, energy, found.problem.x)
    with torch.no_grad():
        assert torch.equal(found.problem.constant_field(layer), fresh.constant_field(layer))


def test_float64_and_budgets_that_cannot_be_divided_are_refused() -> None:
    energy, relaxer = make("energy", "hopfield"), make("relaxer", "csb", steps=8, nudged_steps=8, average=6)
    assert "average = 6" in misfit(Setup(backend=MIXED, energy=energy, relaxer=relaxer))
    assert "cannot resume a phase" in misfit(Setup(backend=MIXED, energy=energy, relaxer=make("relaxer", "adam")))
    with pytest.raises(UsageError, match="rounds float64"):
        MIXED.open(network_for(energy, relaxer), energy, make("relaxer", "csb"), device=CPU, dtype=torch.float64)


def test_a_session_refuses_a_dynamics_that_cannot_be_divided() -> None:
    energy, relaxer = make("energy", "hopfield"), make("relaxer", "adam")
    assert not relaxer.properties().resumable
    with pytest.raises(UsageError, match="cannot resume a phase"):
        MIXED.open(network_for(energy, relaxer), energy, relaxer, device=CPU, dtype=torch.float32)
