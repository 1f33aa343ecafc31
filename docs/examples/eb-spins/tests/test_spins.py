"""Promises of the parts, and the gradient of p-ep at finite beta against enumeration."""

import itertools

import pytest
import torch
from eb_spins.annealer import Annealer
from eb_spins.chip import Chip, Coupler
from eb_spins.energy import Ising

import eb_core as eb
from eb_core.testing import check_cost, check_edge, check_energy, check_model, check_relaxer, check_rule
from eb_dynamics_hopfield.block import Hopfield
from eb_rules.equilibrium_propagation import EquilibriumPropagation


@eb.configurable
class Enumerated(eb.Relaxer):
    """The ground state, by looking at all states."""

    def properties(self):
        return eb.Properties(needs_force=False)

    def relax(self, problem, start=None, *, generator=None, trace=False):
        rest = problem.initial_state()
        names = list(rest.units)
        widths = [rest.units[n].shape[1] for n in names]
        all_states = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=sum(widths))), dtype=problem.x.dtype)
        lowest = best = None
        for row in all_states:
            units = {n: p.expand(problem.batch, -1) for n, p in zip(names, row.split(widths), strict=True)}
            value = problem.objective(eb.State(units))
            flat = row.expand(problem.batch, -1)
            if best is None:
                lowest, best = value.detach(), flat
            else:
                better = value.detach() < lowest
                lowest, best = torch.where(better, value.detach(), lowest), torch.where(better[:, None], flat, best)
        state = eb.State(dict(zip(names, best.split(widths, dim=1), strict=True)))
        return eb.Relaxation(problem, state, torch.ones(problem.batch, dtype=torch.int64))

    def iterate(self, problem, state, steps, *, generator=None):
        return self.relax(problem).state


def test_energy():
    assert check_energy(Ising()) > 0


@pytest.mark.parametrize("options", [{}, {"reads": 3}])
def test_relaxer(options):
    assert check_relaxer(Annealer(sweeps=10, nudged_sweeps=6, **options), Ising()) > 0


def test_edge_and_model():
    check_edge(Coupler("a", "b", (2, 3), (4,)), (2, 3), (4,))
    check_model(Chip(), (1, 8, 8))


def test_cost():
    check_cost(eb.SquaredError(copies=1), Ising())


@pytest.mark.parametrize("relaxer", [Annealer(), Hopfield()], ids=["annealer", "hopfield"])
def test_rule(relaxer):
    assert check_rule(EquilibriumPropagation(variant="positive", beta=3.0), relaxer, Ising(), eb.SquaredError()) > 0


def tiny(seed):
    g = torch.Generator().manual_seed(seed)
    network = eb.make_network(Chip(hidden=(5,)), Ising(), (4,), 3, generator=g, dtype=torch.float64)
    x = torch.rand(6, 4, generator=g, dtype=torch.float64)
    return network, x, torch.arange(6) % 3


def session_of(network, relaxer):
    return eb.Simulator().open(network, Ising(), relaxer, device=torch.device("cpu"), dtype=torch.float64)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("beta", [0.7, 3.0])
def test_the_gradient_at_finite_beta(seed, beta):
    network, x, y = tiny(seed)
    cost = eb.SquaredError()
    target = cost.encode(y, 3, Ising(), torch.float64)
    relaxer = Enumerated()

    def surrogate():
        free = eb.Problem.free(network, Ising(), x)
        nudged = free.nudged(cost, target, beta)
        low = free.objective(relaxer.relax(free).state)
        high = nudged.objective(relaxer.relax(nudged).state)
        return ((high - low) / beta).mean().item()

    rule = EquilibriumPropagation(variant="positive", beta=beta)
    found = rule.estimate(session_of(network, relaxer), x, target, cost).gradients
    eps = 1e-6
    compared = 0
    for name, parameter in network.named_parameters():
        flat = parameter.data.view(-1)
        for i in range(0, flat.numel(), 3):
            old = flat[i].item()
            with torch.no_grad():
                parameter.view(-1)[i] = old + eps
                up = surrogate()
                parameter.view(-1)[i] = old - eps
                down = surrogate()
                parameter.view(-1)[i] = old
            assert found[name].view(-1)[i].item() == pytest.approx((up - down) / (2 * eps), abs=1e-6), (name, i)
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("beta", [0.0, 3.0])
def test_the_annealer_finds_ground_states(beta):
    network, x, y = tiny(0)
    cost = eb.SquaredError()
    problem = eb.Problem.free(network, Ising(), x)
    if beta:
        problem = problem.nudged(cost, cost.encode(y, 3, Ising(), torch.float64), beta)
    lowest = problem.objective(Enumerated().relax(problem).state)
    annealed = Annealer(reads=5, nudged_hot=2.0).relax(problem, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(problem.objective(annealed.state), lowest)


def test_the_same_seed_gives_the_same_states():
    network, x, _ = tiny(1)
    problem = eb.Problem.free(network, Ising(), x)
    first, second = (Annealer().relax(problem, generator=torch.Generator().manual_seed(5)).state for _ in range(2))
    assert all(torch.equal(first.units[n], second.units[n]) for n in first.units)
