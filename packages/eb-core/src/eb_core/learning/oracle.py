"""The exact gradient of the cost at a free equilibrium, by implicit differentiation.

    dC/dtheta = -(d2E/dtheta ds)' H^-1 dC/ds,   H = d2E/ds2

rows and columns of H restricted to the units that can move: those strictly inside their box, and all that have no
box. Matrix-free: H is only ever multiplied with vectors, so that nets of any size and wiring are served. It is exact
as far as the state is an equilibrium; what is reported beside it says how far it can be trusted.
"""

from collections.abc import Callable, Mapping

import attrs
import torch
from torch import Tensor

from eb_core.physics.cost import Cost
from eb_core.registry import UsageError
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.view import View

Product = Callable[[Tensor], Tensor]


@attrs.frozen(eq=False)
class ExactGradient:
    """The gradient and what it stands on.

    Args:
        gradients: parameter name -> d(mean cost)/d(parameter).
        loss: cost of each sample, (B,).
        curvature: smallest eigenvalue of H on the units that move (B,), by Lanczos; not positive: no minimum.
        kink: how far the nearest unit is from a kink of its box (B,): inside, the distance to the wall; on the
            wall, the force that holds it there. The gradient is that of a smooth function only this far.
        residual: of the state, (B,).
        misfit: largest |H v - dC/ds| of the linear solution.
    """

    gradients: Mapping[str, Tensor]
    loss: Tensor
    curvature: Tensor
    kink: Tensor
    residual: Tensor
    misfit: float


def exact_gradient(problem: Problem, state: State, cost: Cost, target: Tensor) -> ExactGradient:
    """Gradient of mean C at the settled free state of `problem`; use float64.

    Args:
        problem: the free phase, without nudge.
        state: settled as far as possible; the residual comes back.
        cost: C, a function of the read-out.
        target: its targets, (B, outputs), from `Cost.encode`.

    Raises:
        UsageError: the units have no derivative.
    """
    if not problem.energy.differentiable:
        raise UsageError(
            f"units of {type(problem.energy).__name__} have no derivative, so there is no exact gradient",
            advice="compare with finite differences of the smallest energies, found by enumeration",
        )
    network = problem.network
    units = {layer.name: state[layer.name].detach().clone().requires_grad_() for layer in problem.free_layers}
    everything = {**{name: value.detach() for name, value in state.units.items()}, **units}
    names = network.parameter_names()
    parameters = dict(network.named_parameters())
    with torch.enable_grad():
        slope = torch.autograd.grad(
            problem.total_energy(State(everything)).sum(), list(units.values()), create_graph=True
        )
        loss = cost.value(problem.readout(State(everything)), target)
        source = torch.autograd.grad(loss.sum(), list(units.values()), materialize_grads=True)
    moving, kink = mobility(problem, state)
    shapes = [value.shape for value in units.values()]

    def hessian(vector: Tensor) -> Tensor:
        parts = _split(vector * moving, shapes)
        products = torch.autograd.grad(slope, list(units.values()), parts, retain_graph=True, materialize_grads=True)
        return _flat(products) * moving

    right = _flat(source) * moving
    solution = conjugate_gradients(hessian, right)
    curvature = smallest_eigenvalue(hessian, moving)
    misfit = float((hessian(solution) - right).abs().max())
    with torch.enable_grad():
        work = sum((part * force).sum() for part, force in zip(_split(solution, shapes), slope, strict=True))
        assert isinstance(work, Tensor)
        mixed = torch.autograd.grad(work, [parameters[name] for name in names], materialize_grads=True)
    return ExactGradient(
        {name: -value / problem.batch for name, value in zip(names, mixed, strict=True)},
        loss.detach(),
        curvature,
        kink,
        View(problem, state).residual().detach(),
        misfit,
    )


@torch.no_grad()
def mobility(problem: Problem, state: State) -> tuple[Tensor, Tensor]:
    """Which units can move (1 or 0, (B, n)), and the distance of each sample to the nearest kink (B,)."""
    work = View(problem, state)
    moving, kinks = [], []
    for layer in problem.free_layers:
        s, force = work.units[layer.name], work.force(layer.name)
        domain = problem.energy.domain(layer)
        walls = domain.at_wall(s)
        movable = problem.movable(layer.name, s).to(s)
        if walls is None:
            moving.append(movable)
            continue
        moving.append((~walls).to(s) * movable)
        inside = domain.wall_distance(s)
        nearest = torch.where(walls, force.abs(), inside)
        kinks.append(torch.where(movable > 0, nearest, torch.inf).flatten(1).amin(1))
    far = problem.x.new_full((problem.batch,), torch.inf)
    return _flat(moving), torch.stack([*kinks, far]).amin(0)


def conjugate_gradients(product: Product, right: Tensor, tolerance: float = 1e-14) -> Tensor:
    """Solve H v = right for every sample at once, (B, n); H symmetric, one per sample."""
    solution = torch.zeros_like(right)
    rest = right.clone()
    direction = rest.clone()
    energy = rest.square().sum(1)
    goal = energy * tolerance**2
    for _ in range(4 * right.shape[1]):
        if bool((energy <= goal).all()):
            break
        pushed = product(direction)
        scale = (direction * pushed).sum(1)
        step = torch.where(scale != 0, energy / scale, 0.0).where(energy > goal, 0.0).unsqueeze(1)
        solution = solution + step * direction
        rest = rest - step * pushed
        before, energy = energy, rest.square().sum(1)
        direction = rest + torch.where(before > 0, energy / before, 0.0).unsqueeze(1) * direction
    return solution


def smallest_eigenvalue(product: Product, moving: Tensor, steps: int = 60) -> Tensor:
    """Smallest eigenvalue of H on the moving units of each sample (B,), by Lanczos with full reorthogonalisation.

    Samples in which no unit moves get inf, those with products that are not finite -inf.
    """
    generator = torch.Generator(moving.device).manual_seed(0)
    vector = torch.randn(moving.shape, generator=generator, dtype=moving.dtype, device=moving.device) * moving
    count = int(min(steps, max(int(moving.sum(1).max()), 1)))
    basis: list[Tensor] = []
    diagonal, beside = [], []
    norm = vector.norm(dim=1, keepdim=True)
    for _ in range(count):
        vector = torch.where(norm > 1e-12, vector / norm.clamp(min=1e-300), 0.0)
        basis.append(vector)
        pushed = product(vector)
        diagonal.append((pushed * vector).sum(1))
        for _ in range(2):
            for old in basis:
                pushed = pushed - (pushed * old).sum(1, keepdim=True) * old
        norm = pushed.norm(dim=1, keepdim=True)
        beside.append(norm[:, 0])
        vector = pushed
    matrix = torch.diag_embed(torch.stack(diagonal, 1))
    if count > 1:
        off = torch.diag_embed(torch.stack(beside[:-1], 1), offset=1)
        matrix = matrix + off + off.transpose(1, 2)
    exists = torch.stack([old.square().sum(1) > 0 for old in basis], 1)
    matrix = matrix + torch.diag_embed(torch.where(exists, 0.0, torch.inf).nan_to_num(posinf=1e30))
    sound = matrix.isfinite().flatten(1).all(1)
    smallest = torch.linalg.eigvalsh(torch.where(sound.view(-1, 1, 1), matrix, 0.0))[:, 0]
    return torch.where(moving.any(1), torch.where(sound, smallest, -torch.inf), torch.inf)


def _flat(parts: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return torch.cat([part.detach().flatten(1) for part in parts], dim=1)


def _split(vector: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    pieces = vector.split([shape[1:].numel() for shape in shapes], dim=1)  # type: ignore[no-untyped-call]
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
