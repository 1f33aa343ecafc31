"""Self-terms, lateral edges, constraints and spins: through energies, dynamics, gradients and the exact gradient."""

import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from registered import make, names
from torch import Tensor

import eb_core as eb
from eb_core import (
    Boxes,
    Dense,
    Diagnostic,
    Domain,
    Energy,
    Lateral,
    Layer,
    Line,
    Model,
    Network,
    Problem,
    Setup,
    Simulator,
    Spins,
    SquaredError,
    State,
    UsageError,
    View,
    configurable,
    contrast,
    make_network,
    refuse,
)
from eb_core.diagnostics.measure import measure_rule
from eb_core.diagnostics.nets import BOTH, LATERAL, RESISTIVE
from eb_core.diagnostics.problems import free_problem, random_state
from eb_core.diagnostics.resistive import Resistive, ResistiveLateral
from eb_core.diagnostics.well_conditioned import nets
from eb_core.learning.fit import misfit
from eb_core.testing import check_edge, check_energy, check_relaxer, check_settles, random_network

WIRINGS = (RESISTIVE, LATERAL, BOTH)
COST = SquaredError()


@configurable
class Voltages(Energy):
    """Nodes without a self-energy, half of the hidden ones at least 0 V, the others at most 0 V: ideal diodes."""

    def domain(self, layer: Layer) -> Domain:
        if layer.role == "output":
            return Line()
        up = (torch.arange(layer.size) < (layer.size + 1) // 2).view(layer.shape)
        return Boxes(torch.where(up, 0.0, -math.inf), torch.where(up, math.inf, 0.0))

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        return torch.zeros_like(s)

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        assert curvature is not None
        return self.domain(layer).project(torch.where(curvature[0] > 0, field[0] / curvature[0], s))

    @property
    def output_curvature(self) -> float:
        return 0.0

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        network = setup.network
        if network is not None and None in [network.curvature(layer.name) for layer in network.unit_layers]:
            yield refuse("a node without a conductance has no voltage")


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize(
    ("relaxer", "energy"),
    [
        ("hopfield", "hopfield"),
        ("csb", "hopfield"),
        ("cim-block", "cim"),
        ("oim-heavy-ball", "oim"),
        ("hopfield", "hopfield-graded"),
    ],
)
def test_the_error_of_centred_ep_falls_a_hundred_times_with_a_tenth_of_beta(
    relaxer: str, energy: str, wiring: str
) -> None:
    physics = make("energy", energy)
    problems = [one for one in nets(physics) if one[0] == wiring]
    found = measure_rule("c-ep", make("rule", "c-ep"), make("relaxer", relaxer), physics, COST, problems)
    assert [one.what for one in found if one.holds is False] == []
    orders = [one.value for one in found if one.what == "order in beta"]
    assert orders
    assert all(abs(order - 2) < 0.1 for order in orders)


def test_voltages_of_a_resistive_net_keep_every_promise() -> None:
    energy = Voltages()
    budget: dict[str, Any] = {"steps": 3000, "nudged_steps": 3000, "tol": 1e-9, "nudged_tol": 1e-9, "check_every": 20}
    assert check_energy(energy) == 18
    relaxers = [make("relaxer", name, **budget) for name in ("hopfield", "hopfield-sync", "csb", "gradient-flow")]
    relaxers += [make("relaxer", "csb", update="parallel", **budget)]
    assert check_settles(relaxers, energy) == 18
    for name in ("hopfield", "csb", "gradient-flow", "adam"):
        assert check_relaxer(make("relaxer", name, steps=9, nudged_steps=9), energy) == 18
    found = measure_rule("c-ep", make("rule", "c-ep"), make("relaxer", "hopfield"), energy, COST)
    assert [one.value for one in found if one.what == "order in beta"] == pytest.approx([2, 2], abs=0.1)
    assert all(one.holds is not False for one in found)


@torch.no_grad()
def test_a_resistive_net_settles_to_kirchhoffs_laws() -> None:
    problem = free_problem(Voltages(), RESISTIVE)
    state = make("relaxer", "hopfield", steps=500, tol=1e-13).relax(problem).state
    units = {"input": problem.x, **state.units}
    for layer in problem.network.unit_layers:
        current = torch.zeros_like(units[layer.name]) + problem.network.bias(layer.name)
        for edge in problem.network.edges.values():
            for here, there, conductance in (
                (edge.post, edge.pre, edge.weight),
                (edge.pre, edge.post, edge.weight.t()),
            ):
                if here == layer.name:
                    drop = units[there].unsqueeze(1) - units[here].unsqueeze(2)
                    current = current + (conductance * drop).sum(2)
        free = ~energy_walls(problem, state, layer)
        assert float(current[free].abs().max()) < 1e-11


def energy_walls(problem: Problem, state: State, layer: Layer) -> Tensor:
    walls = problem.energy.domain(layer).at_wall(state[layer.name])
    return torch.zeros_like(state[layer.name], dtype=torch.bool) if walls is None else walls


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("energy", names("energy"))
def test_the_gradient_of_the_energy_is_that_of_autograd_to_rounding(energy: str, wiring: str) -> None:
    problem = free_problem(make("energy", energy), wiring)
    states = [random_state(problem, seed) for seed in (1, 2)]
    weights = (0.7, -1.9)  # not of sum 0: what only the input sees is part of it
    total = sum(weight * problem.total_energy(state).mean() for weight, state in zip(weights, states, strict=True))
    parameters = dict(problem.network.named_parameters())
    expected = torch.autograd.grad(total, list(parameters.values()))
    found = contrast(problem, list(zip(weights, states, strict=True)))
    for name, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-13)


@torch.no_grad()
def test_self_terms_make_a_nudge_strong_enough_to_be_refused_later() -> None:
    network = random_network(make("energy", "hopfield"), RESISTIVE)
    problem = Problem.free(network, make("energy", "hopfield"), torch.zeros(2, 5, dtype=torch.float64))
    target = torch.zeros(2, 3, dtype=torch.float64)
    lowest = float(network.curvature("output").min())
    problem.nudged(COST, target, -0.99 * (1 + lowest))
    with pytest.raises(UsageError, match=f"keep beta above {-(1 + lowest):g}"):
        problem.nudged(COST, target, -1.01 * (1 + lowest))


@pytest.mark.parametrize("edge", [Lateral("a", (2, 3)), Resistive("a", "b", (2, 3), (4,)), ResistiveLateral("a", (5,))])
def test_reference_edges_keep_their_promises(edge: Any) -> None:
    check_edge(edge, edge.pre_shape, edge.post_shape)


def test_a_lateral_edge_acts_by_its_upper_triangle_alone() -> None:
    edge, u = Lateral("a", (4,)), torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        edge.weight.normal_(generator=torch.Generator().manual_seed(1))
        drive = edge.drive(u)
        edge.project_()
        torch.testing.assert_close(edge.drive(u), drive)
        assert float(edge.weight.tril().abs().max()) == 0


def test_a_lateral_edge_that_is_not_linear_is_refused() -> None:
    edge = Lateral("output", (3,))
    edge.linear = False
    with pytest.raises(ValueError, match="a lateral edge must be linear"):
        Network([("input", (2,)), ("output", (3,))], [Dense("input", "output", (2,), (3,)), edge])


def ising(couplings: Tensor) -> Network:
    """One layer of units with these couplings, and an input that does nothing."""
    size = len(couplings)
    edges = [Dense("input", "units", (1,), (size,)), Lateral("units", (size,))]
    network = Network([("input", (1,)), ("units", (size,))], edges).double()
    with torch.no_grad():
        network.get_parameter("edges.units-units.weight").copy_(couplings.triu(1))
    return network


@torch.no_grad()
def test_an_ising_graph_of_oscillators_finds_the_largest_cut() -> None:
    size, starts = 10, 40
    weight = torch.randint(0, 2, (size, size), generator=torch.Generator().manual_seed(3)).double().triu(1)
    network, energy = ising(-weight), make("energy", "oim", sync=0.6)
    problem = Problem.free(network, energy, torch.zeros(starts, 1, dtype=torch.float64))
    phases = 2 * math.pi * torch.rand(starts, size, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    end = make("relaxer", "oim-heavy-ball", steps=2000, tol=1e-8).relax(problem, State({"units": phases})).state
    spins = end["units"].cos().sign()
    cuts = ((1 - spins.unsqueeze(2) * spins.unsqueeze(1)) / 2 * weight).sum((1, 2))
    every = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=size)), dtype=torch.float64)
    largest = ((1 - every.unsqueeze(2) * every.unsqueeze(1)) / 2 * weight).sum((1, 2)).max()
    assert float(cuts.max()) == float(largest)


@pytest.mark.parametrize("relaxer", ["hopfield", "csb"])
@torch.no_grad()
def test_an_associative_memory_of_graded_units_completes_what_it_knows_a_part_of(relaxer: str) -> None:
    patterns = torch.randint(0, 2, (3, 80), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    network = ising(4 * patterns.t() @ patterns / 80)
    problem = Problem.free(
        network, make("energy", "hopfield", activation="hard-tanh", output="boxed"), torch.zeros(3, 1).double()
    )
    known = torch.arange(80).unsqueeze(0) < 40
    settled = make("relaxer", relaxer, steps=400).relax(problem.clamped({"units": patterns}, {"units": known}))
    assert torch.equal(settled.state["units"].sign(), patterns)
    free = problem.total_energy(settled.state)
    assert float((free - problem.total_energy(State({"units": patterns}))).max()) <= 1e-9


@torch.no_grad()
def test_block_updates_of_lateral_nets_never_climb_even_when_couplings_are_strong() -> None:
    for scale, energy in itertools.product((0.1, 1.0, 10.0), ("hopfield", "cim", "oim")):
        network = random_network(make("energy", energy), LATERAL)
        with torch.no_grad():
            for edge in network.edges.values():
                edge.weight.mul_(scale)
        problem = Problem.free(
            network,
            make("energy", energy),
            torch.rand(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
        )
        work = View(problem, random_state(problem, 1))
        before = problem.objective(work.state())
        for name in [name for _ in range(5) for name in work.order()]:
            with torch.no_grad():
                work.write(name, work.minimized(name))
            after = problem.objective(work.state())
            assert float((after - before).max()) <= 1e-12 * float(before.abs().max() + 1), (scale, energy, name)
            before = after


@configurable
class _IsingSpins(Voltages):
    def domain(self, layer: Layer) -> Domain:
        return Spins()


def test_spins_refuse_dynamics_rules_and_costs_that_need_a_derivative() -> None:
    fitting = [
        name for name in names("relaxer") if misfit(Setup(relaxer=make("relaxer", name), energy=_IsingSpins())) is None
    ]
    assert fitting == ["hopfield"]
    refused = [
        name for name in names("rule") if misfit(Setup(rule=make("rule", name), energy=_IsingSpins(), cost=COST))
    ]
    assert {*refused} == {"bp", "rbp", "tbp"}
    assert "majorised" in str(misfit(Setup(cost=make("cost", "cross-entropy"), energy=_IsingSpins())))


def test_backprop_in_the_feed_forward_net_leaves_lateral_edges_out() -> None:
    energy, cost = make("energy", "hopfield"), SquaredError()
    found = {}
    for lateral in (True, False):
        model = make("model", "mlp", hidden=(7, 5), lateral=lateral, lateral_gain=2.0)
        generator = torch.Generator().manual_seed(0)
        network = make_network(model, energy, (6,), 3, generator=generator, dtype=torch.float64)
        x = torch.rand(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        opened = Simulator().open(
            network, energy, make("relaxer", "hopfield"), device=torch.device("cpu"), dtype=torch.float64
        )
        target = cost.encode(torch.tensor([0, 1, 2, 0]), 3, energy, torch.float64)
        found[lateral] = make("rule", "bp").estimate(opened, x, target, cost).gradients
    for name, gradient in found[False].items():
        torch.testing.assert_close(found[True][name], gradient)
    others = [gradient for name, gradient in found[True].items() if name not in found[False]]
    assert len(others) == 2
    assert all(float(gradient.abs().max()) == 0 for gradient in others)


def test_a_beta_that_conductances_do_not_allow_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not fit model .*: beta = -5 leaves the output a curvature"):
        eb.train(_Circuit(), energy=Voltages(), relaxer="hopfield", rule={"name": "c-ep", "beta": 5.0}, out=tmp_path)
    assert not list(tmp_path.iterdir())


@configurable
class _Circuit(Model):
    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        return Network(
            [("input", input_shape), ("output", (outputs,))], [Resistive("input", "output", input_shape, (outputs,))]
        )
