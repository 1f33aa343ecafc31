"""The matrix-free coupling norm against dense matrices: all units, active units, a layer that pools."""

from typing import Any

import pytest
import torch
from foreign_physics import Amplitudes, Springs
from torch import Tensor

from eb_core import Dense, Network, State, UsageError
from eb_core.diagnostics.nets import DENSE
from eb_core.settling.coupling import active_units, coupling_norm, coupling_norms, power_step
from eb_core.testing import coupling_norm as dense_norm
from eb_core.testing import free_problem, random_network, random_state


class Largest(Dense):
    """A dense edge that passes on the larger of two copies: positively homogeneous, not linear."""

    linear = False

    def drive(self, u_pre: Tensor, plus: Tensor | None = None) -> Tensor:
        return self.drive_and_context(u_pre)[0] + (0 if plus is None else plus)

    def drive_and_context(self, u_pre: Tensor) -> tuple[Tensor, Any]:
        both = (u_pre @ self.weight.t()).unflatten(1, (2, -1))
        largest, context = both.max(1, keepdim=True)
        return largest.squeeze(1), context

    def pullback(self, u_post: Tensor, plus: Tensor | None = None, context: Any = None) -> Tensor:
        spread = torch.zeros(len(u_post), 2, u_post.shape[1], dtype=u_post.dtype)
        back = spread.scatter(1, context, u_post.unsqueeze(1)).flatten(1) @ self.weight
        return back if plus is None else back + plus


def matrix(network: Network) -> Tensor:
    """J, dense, over all units in order of the layers."""
    sizes = [layer.size for layer in network.unit_layers]
    starts = dict(
        zip([layer.name for layer in network.unit_layers], [0, *torch.tensor(sizes).cumsum(0).tolist()], strict=False)
    )
    dense = torch.zeros(sum(sizes), sum(sizes), dtype=torch.float64)
    for edge in network.edges.values():
        if edge.pre != network.input:
            rows, columns = starts[edge.post], starts[edge.pre]
            post, pre = edge.weight.shape
            dense[rows : rows + post, columns : columns + pre] = edge.weight.detach()
            dense[columns : columns + pre, rows : rows + post] = edge.weight.detach().t()
    return dense


@pytest.mark.parametrize("shape", DENSE)
@pytest.mark.parametrize("coupling", [0.3, 1.7])
def test_the_norm_is_that_of_the_dense_matrix(shape: str, coupling: float) -> None:
    network = random_network(Springs(), shape, seed=3, coupling=coupling)
    assert coupling_norm(network) == pytest.approx(coupling, rel=1e-10)
    assert coupling_norm(network, iterations=1) < 0.99 * coupling, "one product does not find it"
    assert coupling_norm(network.float()) == pytest.approx(coupling, rel=1e-5)


def test_the_norm_of_a_large_net_comes_from_forty_products() -> None:
    edges = [Dense("x", "a", (9,), (300,)), Dense("a", "b", (300,), (200,)), Dense("b", "o", (200,), (10,))]
    network = Network([("x", (9,)), ("a", (300,)), ("b", (200,)), ("o", (10,))], edges).double()
    for seed, edge in enumerate(edges):
        edge.init_(1.0, torch.Generator().manual_seed(seed))
    exact = dense_norm(network)
    assert coupling_norm(network) == pytest.approx(exact, rel=1e-5)
    assert coupling_norm(network) <= exact * (1 + 1e-12)


def test_input_edges_and_biases_do_not_count() -> None:
    network = random_network(Springs(), "skip edges")
    before = coupling_norm(network)
    with torch.no_grad():
        network.edges["input-hidden1"].weight.mul_(50)
        network.edges["input-output"].weight.mul_(50)
    assert coupling_norm(network) == before


@pytest.mark.parametrize("shape", DENSE)
def test_the_norm_on_active_units_is_that_of_their_part_of_the_matrix_sample_by_sample(shape: str) -> None:
    problem = free_problem(Amplitudes(), shape)
    state = random_state(problem)
    active = active_units(problem, state)
    norms = coupling_norms(problem.network, active)
    rows = torch.cat([active[layer.name] for layer in problem.network.unit_layers], 1)
    assert 0.2 < float(rows.double().mean()) < 0.9, "some units sit on a wall, or the test shows nothing"
    dense = matrix(problem.network)
    for norm, row in zip(norms, rows, strict=True):
        assert float(norm) == pytest.approx(float(torch.linalg.matrix_norm(dense[row][:, row], 2)), rel=1e-9)
    alone = coupling_norms(problem.network, {name: value[2:3] for name, value in active.items()})
    assert float(alone) == pytest.approx(float(norms[2]), rel=1e-12)


def test_clamped_units_are_not_active() -> None:
    problem = free_problem(Amplitudes(), "one hidden layer")
    state = random_state(problem)
    whole = problem.clamped({"output": state["output"]})
    assert set(active_units(whole, state)) == {"hidden1"}
    assert float(coupling_norms(problem.network, active_units(whole, state)).max()) == 0
    mask = torch.arange(7).unsqueeze(0) % 2 == 0
    part = active_units(problem.clamped({"hidden1": state["hidden1"]}, {"hidden1": mask}), state)
    assert not bool((part["hidden1"] & mask).any())
    assert bool(part["hidden1"].any())


@pytest.mark.parametrize("shape", DENSE)
def test_one_step_of_the_power_iteration_is_that_of_the_dense_matrix_and_many_find_the_norm(shape: str) -> None:
    problem = free_problem(Amplitudes(), shape)
    state = random_state(problem)
    active = active_units(problem, state)
    rows = torch.cat([active[layer.name] for layer in problem.network.unit_layers], 1)
    v = torch.cat([state[layer.name] for layer in problem.network.unit_layers], 1)
    steps = power_step(problem.network, state.units, active).detach()
    for step, row, one in zip(steps, rows, v, strict=True):
        part = matrix(problem.network)[row][:, row]
        assert float(step) == pytest.approx(float((part @ one[row]).norm() / one[row].norm()), rel=1e-12)
    assert bool((steps <= coupling_norms(problem.network, active) * (1 + 1e-12)).all())
    nothing = {name: torch.zeros_like(value) for name, value in state.units.items()}
    assert power_step(problem.network, nothing, active).tolist() == [0.0] * problem.batch


def test_no_active_unit_has_no_coupling() -> None:
    problem = free_problem(Springs(), "one hidden layer")
    none = {name: torch.zeros_like(value, dtype=torch.bool) for name, value in random_state(problem).units.items()}
    assert coupling_norms(problem.network, none).tolist() == [0.0] * problem.batch


def test_an_edge_that_pools_counts_where_its_state_points() -> None:
    edge = Largest("a", "o", (4,), (6,))
    network = Network([("x", (2,)), ("a", (4,)), ("o", (3,))], [Dense("x", "a", (2,), (4,)), edge]).double()
    edge.init_(1.0, torch.Generator().manual_seed(0))
    with pytest.raises(UsageError, match="depends on the state"):
        coupling_norm(network)
    generator = torch.Generator().manual_seed(1)
    state = State({"a": torch.rand(5, 4, generator=generator, dtype=torch.float64), "o": torch.zeros(5, 3).double()})
    active = {name: torch.ones_like(value, dtype=torch.bool) for name, value in state.units.items()}
    norms = coupling_norms(network, active, state=state)
    for row in range(5):
        slope = torch.autograd.functional.jacobian(edge.drive, state["a"][row : row + 1]).reshape(3, 4)
        assert float(norms[row]) == pytest.approx(float(torch.linalg.matrix_norm(slope, 2)), rel=1e-10)


def test_the_global_generator_is_left_alone_and_the_result_is_the_same_each_time() -> None:
    network = random_network(Springs())
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = coupling_norm(network, iterations=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert coupling_norm(network, iterations=2) == first
    assert coupling_norm(network, iterations=2, generator=torch.Generator().manual_seed(5)) != first
