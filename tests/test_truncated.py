"""EP along the nudged phase against truncated BPTT: equal where theory says so, and a mistake is named."""

from typing import Any

import pytest
import torch
from registered import fitting_relaxers, make

from eb_core import Problem, Properties, Relaxer, State, View, configurable, contrast
from eb_core.diagnostics.problems import labels_of
from eb_core.diagnostics.truncated import AGREE, BETA, measure_truncated, truncated_bptt
from eb_core.diagnostics.well_conditioned import nets
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.synchronous import HopfieldSync

ENERGY, COST = make("energy", "hopfield"), make("cost", "squared-error")
NETS = nets(ENERGY)
SYMMETRIC = [
    pair
    for pair in fitting_relaxers()
    if make("relaxer", pair[0]).properties().symmetric_response and pair[1] == "hopfield"
]


def broken(relaxer: Relaxer) -> list[float]:
    """The differences that break the promise; something must have been judged."""
    found, curves = measure_truncated("under test", relaxer, ENERGY, COST, NETS)
    assert len(curves) == len(NETS)
    assert all(one.what == "EP against truncated BPTT" and one.holds is not None for one in found)
    return [one.value for one in found if not one.holds]


@pytest.mark.parametrize("name", [relaxer for relaxer, _ in SYMMETRIC])
def test_the_two_are_one_at_every_k_where_all_layers_move_at_once(name: str) -> None:
    assert broken(make("relaxer", name)) == []


def test_layer_after_layer_they_differ_at_first_and_meet_at_the_exact_gradient() -> None:
    found, curves = measure_truncated("block", make("relaxer", "hopfield"), ENERGY, COST, NETS)
    assert all(one.holds is None and one.value > AGREE for one in found)
    for curve in curves:
        assert curve.difference[-1] < 1e-2 * max(curve.difference)
        assert max(curve.ep[-1], curve.bptt[-1]) < 1e-4


def test_ep_by_sweeps_in_one_order_is_bptt_by_sweeps_in_the_opposite_order() -> None:
    @configurable
    class Backwards(Hopfield):
        def step(self, view: View) -> None:
            for layer in reversed(view.order(self.order)):
                view.write(layer, view.minimized(layer))

    settle = make("relaxer", "hopfield", steps=2000, tol=1e-14)
    for _, problem in NETS:
        free = State(settle.relax(problem).state.units)
        target = COST.encode(labels_of(problem), 3, ENERGY, torch.float64)
        for steps in (1, 2, 5):
            ends = [
                (weight, Backwards().iterate(problem.nudged(COST, target, beta), free, steps))
                for weight, beta in ((0.5 / BETA, BETA), (-0.5 / BETA, -BETA))
            ]
            ours = torch.cat([value.flatten() for value in contrast(problem, ends).values()])
            same, opposite = (
                truncated_bptt(way, problem, free, COST, target, steps) for way in (Backwards(), Hopfield())
            )
            assert float((ours - opposite).norm() / opposite.norm()) < 1e-6
            assert float((ours - same).norm() / same.norm()) > (1e-3 if steps == 1 else 1e-5)


def test_feedback_that_is_not_the_transpose_is_named() -> None:
    @configurable
    class Asymmetric(HopfieldSync):
        def step(self, view: View) -> None:
            fields = {layer: view.field(layer) for layer in view.layers}
            forward = {layer: view.field(layer, feedback=False) for layer in view.layers}
            new = {
                layer: view.minimized(layer, field - 0.1 * (field - forward[layer])) for layer, field in fields.items()
            }
            for layer, value in new.items():
                view.write(layer, value)

    assert len(broken(Asymmetric())) == len(NETS)


def test_a_nudge_that_is_too_weak_is_named() -> None:
    @configurable
    class Weak(HopfieldSync):
        def iterate(self, problem: Problem, state: State, *args: Any, **kwargs: Any) -> State:
            if problem.nudge is not None:
                problem = problem.nudged(problem.nudge.cost, problem.nudge.target, 0.9 * problem.nudge.beta)
            return HopfieldSync.iterate(self, problem, state, *args, **kwargs)

    assert len(broken(Weak())) == len(NETS)


def test_a_block_dynamics_that_claims_equality_is_named() -> None:
    @configurable
    class Boastful(Hopfield):
        def properties(self) -> Properties:
            return Properties(symmetric_response=True)

    assert len(broken(Boastful())) == len(NETS)
