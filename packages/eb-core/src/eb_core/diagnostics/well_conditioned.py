"""Problems to measure on: random nets, and for each the samples whose free state is well conditioned.

Theory speaks of minima where H = d2E/ds2 on the units that move is positive, of states further from the kinks of a
box than the nudge moves them, and of one minimum that every dynamics finds. And a net whose units all sit on walls
shows nothing. So inputs are drawn in plenty, and those are kept that have the largest

    min(distance to a kink, ROOM) * min(smallest curvature, STIFF) * share of units that move

among those where some output unit moves, and where block minimisation and gradient flow, both from rest, end in the
same state.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core.diagnostics.nets import fitting_shapes
from eb_core.diagnostics.problems import BATCH, free_problem
from eb_core.learning.oracle import exact_gradient, mobility
from eb_core.network.network import Model, Network
from eb_core.physics.energy import Energy
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.view import View
from eb_core.training.build import make_network

Nets = Sequence[tuple[str, Problem]]
"""Pairs (name of the net, free problem)."""

CANDIDATES = 48
SEEDS = 4
ROOM, STIFF = 0.03, 0.2
"""More distance to a kink, or more curvature, than this is not looked for."""
BLOCK_SWEEPS, FLOW_STEPS = 100, 200
FLOW_STEP = 0.25
SAME = 0.05
"""States nearer than this are one minimum: the flow need not have arrived, and two minima are further apart."""


def nets(energy: Energy, model: Model | None = None) -> Nets:
    """Free problems of six samples each in float64: every wiring that fits, or one net of `model` on 8x8 inputs.

    For units without a derivative there is no condition to choose by.
    """
    if not energy.differentiable:
        if model is None:
            return [(shape, free_problem(energy, shape)) for shape in fitting_shapes(energy)]
        return [("model", Problem.free(*_of_model(model, energy, BATCH)))]
    if model is None:
        return [
            (shape, _best([free_problem(energy, shape, seed, CANDIDATES) for seed in range(SEEDS)]))
            for shape in fitting_shapes(energy)
        ]
    return [("model", _best([Problem.free(*_of_model(model, energy, CANDIDATES))]))]


def _of_model(model: Model, energy: Energy, samples: int) -> tuple[Network, Energy, Tensor]:
    generator = torch.Generator().manual_seed(0)
    network = make_network(model, energy, (1, 8, 8), 3, generator=generator, dtype=torch.float64)
    return network, energy, torch.rand(samples, 1, 8, 8, generator=generator, dtype=torch.float64)


def _best(problems: Sequence[Problem]) -> Problem:
    """Of the best samples of each net, those of the net whose last one is best."""
    chosen: tuple[float, Problem] | None = None
    for problem in problems:
        top = room(problem).topk(BATCH)
        if chosen is None or float(top.values[-1]) > chosen[0]:
            rows = top.indices.sort().values
            chosen = (float(top.values[-1]), Problem.free(problem.network, problem.energy, problem.x[rows]))
    assert chosen is not None
    return chosen[1]


def room(problem: Problem) -> Tensor:
    """How well each sample is conditioned (B,), at most ROOM * STIFF; -1 where dynamics disagree or no output moves."""
    block, flow = _settled(problem, by_block=True), _settled(problem, by_block=False)
    exact = exact_gradient(problem, block, SquaredError(), problem.readout(block).detach())
    apart = torch.stack(
        [
            problem.energy.domain(layer).distance(block[layer.name], flow[layer.name]).flatten(1).amax(1)
            for layer in problem.network.unit_layers
        ]
    ).amax(0)
    moving = mobility(problem, block)[0]
    outputs = problem.network.layers[problem.network.output].size
    shows, share = moving[:, -outputs:].any(1), moving.mean(1)
    return torch.where(
        (apart <= SAME) & shows, exact.kink.clamp(max=ROOM) * exact.curvature.clamp(max=STIFF) * share, -1.0
    )


@torch.no_grad()
def _settled(problem: Problem, by_block: bool) -> State:
    """The end of block minimisation, or of projected gradient flow, from rest."""
    work = View(problem, problem.initial_state())
    for _ in range(BLOCK_SWEEPS if by_block else FLOW_STEPS):
        if by_block:
            for name in work.order():
                work.write(name, work.minimized(name))
            continue
        moved = {
            name: problem.energy.domain(layer).project(work.units[name] + FLOW_STEP * work.force(name))
            for name, layer in work.layers.items()
        }
        for name, value in moved.items():
            work.write(name, value)
    return work.state()
