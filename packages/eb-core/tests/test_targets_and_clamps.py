"""What a phase is given (input, target, beta, clamps) is checked where the phase is derived."""

from typing import Any

import pytest
import torch
from foreign_physics import Chain, Descent, Springs
from torch import Tensor

import eb_core as eb
from eb_core import Problem, SquaredError, UsageError
from eb_core.settling.coupling import coupling_norm


def problem(dtype: torch.dtype = torch.float32, batch: int = 5) -> Problem:
    network = eb.make_network(Chain(), Springs(), (4,), 3, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return Problem.free(network, Springs(), torch.rand(batch, 4, dtype=dtype))


def holed(*shape: int) -> Tensor:
    values = torch.zeros(*shape)
    values[2, 1] = torch.nan
    return values


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (torch.zeros(5, 1), r"target of shape \(5, 1\), expected is \(5, 3\)"),
        (torch.zeros(3), r"target of shape \(3,\)"),
        (torch.zeros(4, 3), r"target of shape \(4, 3\)"),
        (torch.zeros(1, 3), r"target of shape \(1, 3\)"),
        (torch.zeros(5, 3, dtype=torch.int64), r"target in torch.int64, network in torch.float32"),
        (torch.zeros(5, 3, dtype=torch.float64), r"target in torch.float64, network in torch.float32"),
        (holed(5, 3), "target holds 1 values that are not finite; the first is nan in sample 2"),
        ([[0.0] * 3] * 5, "target is a list"),
    ],
)
def test_a_target_must_have_one_finite_row_of_outputs_for_each_sample(target: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        problem().nudged(SquaredError(), target, 0.1)


@pytest.mark.parametrize(
    ("beta", "said"),
    [
        (float("nan"), "beta = nan is no finite number"),
        (float("inf"), "beta = inf"),
        (-float("inf"), "beta = -inf"),
        (10**400, "is no finite number"),
        ("0.1", "beta = '0.1' is no finite number"),
        (None, "beta = None"),
        (1e300, "beta = 1e[+]300 is beyond what torch.float32 can hold"),
        (1e-320, "is beyond what torch.float32 can hold"),
        (torch.tensor(0.1), r"beta of shape \(\), expected is \(5,\)"),
        (torch.full((4,), 0.1), r"beta of shape \(4,\)"),
        (torch.full((5,), torch.nan), "beta holds 5 values that are not finite"),
        (torch.full((5,), 0.1, dtype=torch.float64), "beta in torch.float64"),
        (torch.tensor([0.1, 0.1, -2.0, 0.1, 0.1]), "beta = -2 leaves the output curvature -1: F has no minimum"),
    ],
)
def test_beta_must_be_a_number_or_one_for_each_sample(beta: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        problem().nudged(SquaredError(), torch.zeros(5, 3), beta)


def test_what_float64_can_hold_is_taken_there() -> None:
    problem(torch.float64).nudged(SquaredError(), torch.zeros(5, 3, dtype=torch.float64), 1e-300)


@pytest.mark.parametrize(
    ("values", "mask", "said"),
    [
        (torch.zeros(5, 2), None, r"clamp of layer 'output' of shape \(5, 2\), expected is \(5, 3\)"),
        (torch.zeros(3), None, r"of shape \(3,\)"),
        (torch.zeros(5, 3).double(), None, "in torch.float64"),
        (holed(5, 3), None, "clamp of layer 'output' holds 1 values that are not finite; the first is nan in sample 2"),
        (torch.zeros(5, 3), torch.ones(5, 3), "mask of layer 'output' is torch.float32"),
        (torch.zeros(5, 3), True, "mask of layer 'output' is bool"),
        (torch.zeros(5, 3), torch.ones(3, dtype=torch.bool), r"mask of layer 'output' has the shape \(3,\)"),
        (torch.zeros(5, 3), torch.ones(4, 3, dtype=torch.bool), r"mask of layer 'output' has the shape \(4, 3\)"),
    ],
)
def test_clamps_must_fit_their_layer(values: Any, mask: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        problem().clamped({"output": values}, None if mask is None else {"output": mask})


def test_a_mask_without_values_or_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="has a mask and no values"):
        problem().clamped({}, {"output": torch.ones(1, 3, dtype=torch.bool)})
    with pytest.raises(UsageError, match="no layer 'outptu'"):
        problem().clamped({"outptu": torch.zeros(5, 3)})


def test_one_mask_for_all_samples_is_enough() -> None:
    clamped = problem().clamped({"output": torch.ones(5, 3)}, {"output": torch.ones(1, 3, dtype=torch.bool)})
    assert torch.equal(Descent().relax(clamped).state["output"], torch.ones(5, 3))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (holed(5, 4), "input holds 1 values that are not finite; the first is nan in sample 2"),
        (torch.zeros(0, 4), r"input of shape \(0, 4\) for a network of inputs \(4,\)"),
        (torch.zeros(5, 3), r"input of shape \(5, 3\) for a network of inputs"),
        (torch.zeros(()), r"input of shape \(\)"),
        ([[0.0] * 4], "input of type list"),
    ],
)
def test_an_input_must_hold_finite_samples(x: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Problem.free(problem().network, Springs(), x)


def test_large_numbers_whose_sum_is_infinite_are_no_fault() -> None:
    Problem.free(problem().network, Springs(), torch.full((9, 4), 3e38))


def test_the_coupling_of_weights_that_are_not_finite_is_infinite() -> None:
    network = problem().network
    for size in (1e30, float("inf"), float("nan")):
        with torch.no_grad():
            network.edges["hidden1-hidden2"].weight.fill_(size)
        assert coupling_norm(network) == float("inf")
