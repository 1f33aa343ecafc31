"""Every phase of a random batch, as problems that checks run over."""

from collections.abc import Iterator

import torch
from torch import Tensor

from eb_core.diagnostics.nets import fitting_shapes, random_network
from eb_core.learning.fit import misfit
from eb_core.physics.cost import Cost
from eb_core.physics.cross_entropy import CrossEntropy
from eb_core.physics.energy import Energy
from eb_core.physics.squared_error import SquaredError
from eb_core.registry.setup import Setup
from eb_core.settling.problem import Problem, output_curvature
from eb_core.settling.state import State

BATCH = 6


def free_problem(energy: Energy, shape: str, seed: int = 0, batch: int = BATCH) -> Problem:
    """A free phase of `batch` samples with random inputs in [0, 1]."""
    network = random_network(energy, shape, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    shape_of_one = network.layers[network.input].shape
    return Problem.free(network, energy, torch.rand(batch, *shape_of_one, generator=generator, dtype=torch.float64))


def labels_of(problem: Problem) -> Tensor:
    """Labels 0, 1, 2, 0 … of a problem's batch."""
    return torch.arange(problem.batch) % problem.network.layers[problem.network.output].size


def nudged(problem: Problem, cost: Cost, beta: float | Tensor) -> Problem:
    """The nudged phase of a free problem, towards `labels_of`."""
    classes = problem.network.layers[problem.network.output].size
    target = cost.encode(labels_of(problem), classes, problem.energy, problem.x.dtype)
    return problem.nudged(cost, target, beta)


def all_phases(energy: Energy, seed: int = 0) -> Iterator[tuple[str, Problem]]:
    """Free, nudged by both costs with both signs, steeply and per sample, output clamped, part of a layer clamped."""
    for shape in fitting_shapes(energy):
        free = free_problem(energy, shape, seed)
        yield f"{shape}, free", free
        low = -min(0.3, 0.5 * output_curvature(free.network, energy))
        costs: list[Cost] = [SquaredError(), CrossEntropy()]
        for cost in (cost for cost in costs if misfit(Setup(energy=energy, cost=cost)) is None):
            for beta in (0.3, low):
                yield f"{shape}, {type(cost).__name__} nudge {beta:+g}", nudged(free, cost, beta)
        steep = CrossEntropy(temperature=0.25)
        if misfit(Setup(energy=energy, cost=steep)) is None:
            yield f"{shape}, a cost of large curvature", nudged(free, steep, 0.3)
        strengths = torch.linspace(low, 0.3, free.batch, dtype=torch.float64)
        yield f"{shape}, a nudge for each sample", nudged(free, SquaredError(), strengths)
        states = random_state(free, seed + 2)
        output, hidden = free.network.output, "hidden1"
        yield f"{shape}, output clamped", free.clamped({output: states[output]})
        units = free.network.layers[hidden]
        mask = (torch.arange(units.size) % 2 == 0).view(1, *units.shape)
        yield f"{shape}, half of a layer clamped", free.clamped({hidden: states[hidden]}, {hidden: mask})


def random_state(problem: Problem, seed: int = 0, *, low: float = -0.2, high: float = 1.3) -> State:
    """States drawn from [low, high] and projected on to the domain of every layer, clamped units at their values."""
    generator = torch.Generator().manual_seed(seed)
    units = {}
    for layer in problem.network.unit_layers:
        noise = torch.rand(problem.batch, *layer.shape, generator=generator, dtype=problem.x.dtype)
        spread = problem.energy.domain(layer).project((high - low) * noise + low)
        units[layer.name] = problem.apply_clamp(layer.name, spread)
    return State(units)


def residual_by_definition(problem: Problem, state: State) -> Tensor:
    """max |P(s - dF/ds) - s| with dF/ds from autograd of `Problem.objective`, (B,); for spins see `flip_gains`."""
    if not problem.energy.differentiable:
        gains = torch.cat([gain.flatten(1) for gain in flip_gains(problem, state).values()], dim=1)
        return 2.0 * (gains.amax(1) > 0)
    units = {name: value.detach().clone().requires_grad_() for name, value in state.units.items()}
    objective = problem.objective(State(units)).sum()
    gradients = torch.autograd.grad(objective, list(units.values()), allow_unused=True)
    largest = problem.x.new_zeros(problem.batch)
    for (name, value), gradient in zip(units.items(), gradients, strict=True):
        if gradient is None:  # a layer clamped as a whole
            continue
        moved = problem.energy.domain(problem.network.layers[name]).project(value - gradient)
        largest = torch.maximum(largest, (problem.apply_clamp(name, moved) - value).abs().flatten(1).amax(1))
    return largest.detach()


@torch.no_grad()
def flip_gains(problem: Problem, state: State) -> dict[str, Tensor]:
    """By how much F falls if a spin turns and no other one does, by layer, (B, *shape); 0 for clamped units."""
    before = problem.objective(state)
    gains = {}
    for layer in problem.free_layers:
        s = state[layer.name]
        gain = torch.zeros_like(s).flatten(1)
        for unit in range(layer.size):
            turned = s.flatten(1).clone()
            turned[:, unit] *= -1
            held = problem.apply_clamp(layer.name, turned.view_as(s))
            gain[:, unit] = before - problem.objective(State({**state.units, layer.name: held}))
        gains[layer.name] = gain.view_as(s)
    return gains
