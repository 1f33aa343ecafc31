"""How strongly units are coupled: the largest absolute eigenvalue of the matrix J of couplings, matrix-free.

    (J v)_l = sum_in drive_e(v_pre) + sum_out pullback_e(v_post),   edges from the input left out

J is symmetric and never built. Lanczos' three-term recurrence turns it into a small tridiagonal matrix, whose largest
absolute eigenvalue approaches that of J from below. Stability limits and best steps of a dynamics are functions of
it: Hopfield units settle from anywhere while it is below 1, and only units inside their box count for the last steps.
What counts is J relative to the curvature of units, D^-1/2 J D^-1/2: D = c + a_l where edges have self-terms a_l.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from eb_core.network.edge import Edge
from eb_core.network.network import Network
from eb_core.registry import UsageError
from eb_core.settling.problem import Problem
from eb_core.settling.state import State

Vector = dict[str, Tensor]
"""Layer name -> (B, *layer shape)."""


def coupling_norm(
    network: Network,
    *,
    curvature: float | None = None,
    iterations: int = 40,
    generator: torch.Generator | None = None,
) -> float:
    """max |eigenvalue of J| over all units: a lower bound that 40 iterations bring to about six digits.

    Weights that are not finite, or too large for their squares, have the norm inf.

    Args:
        network: its edges make up J; those from the input are left out.
        curvature: c > 0, that of a unit without its edges; the norm is then relative, that of D^-1/2 J D^-1/2 with
            D = c + self-terms of edges.
        iterations: products with J, >= 1; each costs one drive and one pullback per edge, for one sample.
        generator: source of the start vector (CPU); None draws it from a generator of its own with seed 0.

    Raises:
        UsageError: an edge is not linear (max-pooling); its coupling depends on a state, see `coupling_norms`.
    """
    return float(_lanczos(network, None, None, iterations, generator, curvature))


def coupling_norms(
    network: Network,
    active: Mapping[str, Tensor],
    *,
    state: State | None = None,
    curvature: float | None = None,
    iterations: int = 20,
    generator: torch.Generator | None = None,
) -> Tensor:
    """max |eigenvalue| of the rows and columns of J that are `active`, one for each sample, (B,).

    Args:
        network: as in `coupling_norm`.
        active: layer name -> (B, *layer shape) bool, the units that move (see `active_units`); a layer that is
            left out does not move at all.
        state: where edges that are not linear are linearised; needed if there are any, ignored otherwise.
        curvature: as in `coupling_norm`.
        iterations: as in `coupling_norm`.
        generator: as in `coupling_norm`; samples share one start vector, so a sample's norm does not depend on its
            neighbours.

    Raises:
        UsageError: an edge is not linear and no state is given.
    """
    return _lanczos(network, active, state, iterations, generator, curvature)


def power_step(
    network: Network,
    v: Mapping[str, Tensor],
    active: Mapping[str, Tensor],
    *,
    curvature: Mapping[str, Tensor] | None = None,
    state: State | None = None,
) -> Tensor:
    """|D^-1/2 J v| / |D^1/2 v| on `active` units: one step of the power iteration, (B,), differentiable; 0 for v = 0.

    A lower bound of the relative coupling norm, near to it where v lies along the leading eigenvector of D^-1 J: the
    last displacement of an iteration that is about to converge does.

    Args:
        network: as in `coupling_norm`.
        v: layer name -> (B, *layer shape), for the same layers as `active`.
        active: as in `coupling_norms`.
        curvature: D > 0 of each layer, broadcastable to (B, *layer shape); None for 1.
        state: as in `coupling_norms`.

    Raises:
        UsageError: an edge is not linear and no state is given.
    """
    inside = {name: v[name] * mask for name, mask in active.items()}
    product = _Couplings(network, state).times(inside)
    image = {name: value * active[name] for name, value in product.items()}
    if curvature is None:
        size, length = _dot(inside, inside), _dot(image, image)
    else:
        size = _dot({name: value * curvature[name] for name, value in inside.items()}, inside)
        length = _dot({name: value / curvature[name] for name, value in image.items()}, image)
    tiny = torch.finfo(size.dtype).tiny
    return torch.where(size > tiny, (length.clamp(min=tiny) / size.clamp(min=tiny)).sqrt(), 0.0)


@torch.no_grad()
def active_units(problem: Problem, state: State) -> dict[str, Tensor]:
    """Units of a state that are neither clamped nor on a wall of their domain: name -> (B, *shape) bool."""
    found = {}
    for layer in problem.free_layers:
        s = state[layer.name]
        walls = problem.energy.domain(layer).at_wall(s)
        movable = problem.movable(layer.name, s)
        found[layer.name] = movable if walls is None else movable & ~walls
    return found


@torch.no_grad()
def _lanczos(
    network: Network,
    active: Mapping[str, Tensor] | None,
    state: State | None,
    iterations: int,
    generator: torch.Generator | None,
    curvature: float | None = None,
) -> Tensor:
    """Largest absolute Ritz value of J after so many steps, (B,); B = 1 where nothing is masked."""
    couplings = _Couplings(network, state, curvature)
    now = _start(network, active, generator)
    batch = len(next(iter(now.values())))
    like = next(network.parameters())
    before = {name: torch.zeros_like(value) for name, value in now.items()}
    size = _norm(now)
    now = _scaled(now, size)
    tridiagonal = torch.zeros(batch, iterations, iterations, dtype=torch.float64, device=like.device)
    off = torch.zeros_like(size)
    for k in range(iterations):
        new = couplings.times(now)
        if active is not None:
            new = {name: value * active[name] for name, value in new.items()}
        along = _dot(new, now)
        for name, value in new.items():
            new[name] = value - _spread(along, value) * now[name] - _spread(off, value) * before[name]
        tridiagonal[:, k, k] = along.double()
        off = _norm(new)
        if k + 1 < iterations:
            tridiagonal[:, k, k + 1] = tridiagonal[:, k + 1, k] = off.double()
        before, now = now, _scaled(new, off)
    sound = tridiagonal.isfinite().flatten(1).all(1)
    ritz: Tensor = torch.linalg.eigvalsh(torch.where(sound.view(-1, 1, 1), tridiagonal, 0.0))
    return torch.where(sound, ritz.abs().amax(1), torch.inf).to(like.dtype)


class _Couplings:
    """J as a product, or D^-1/2 J D^-1/2 with D = curvature + self-terms; nonlinear edges are taken at a state."""

    def __init__(self, network: Network, state: State | None, curvature: float | None = None) -> None:
        bends = {} if curvature is None else {one.name: network.curvature(one.name) for one in network.unit_layers}
        self._roots = {
            name: (torch.as_tensor(curvature) if bend is None else curvature + bend) ** -0.5
            for name, bend in bends.items()
            if curvature is not None
        }
        self._edges = [edge for edge in network.edges.values() if edge.pre != network.input]
        self._contexts: dict[Edge, Any] = {}
        for edge in self._edges:
            if not edge.linear:
                if state is None:
                    raise UsageError(
                        f"the edge {edge.pre}-{edge.post} is not linear: its coupling depends on the state",
                        advice="call coupling_norms with the state to take it at",
                    )
                self._contexts[edge] = edge.drive_and_context(state[edge.pre])[1]

    def times(self, v: Vector) -> Vector:
        """J v."""
        if self._roots:
            product = self._times({name: value * self._roots[name] for name, value in v.items()})
            return {name: value * self._roots[name] for name, value in product.items()}
        return self._times(v)

    def _times(self, v: Vector) -> Vector:
        total = {name: torch.zeros_like(value) for name, value in v.items()}
        for edge in self._edges:
            if edge.pre not in v or edge.post not in v:
                continue
            context = self._contexts.get(edge)
            total[edge.post] = total[edge.post] + edge.drive_at(v[edge.pre], context)
            total[edge.pre] = edge.pullback(v[edge.post], total[edge.pre], context)
        return total


def _start(network: Network, active: Mapping[str, Tensor] | None, generator: torch.Generator | None) -> Vector:
    """Normal noise on the active units, the same for every sample."""
    generator = generator or torch.Generator().manual_seed(0)
    like = next(network.parameters())
    found = {}
    for layer in network.unit_layers:
        noise = torch.randn(1, *layer.shape, generator=generator, dtype=torch.float64).to(like)
        if active is None:
            found[layer.name] = noise
        elif layer.name in active:
            found[layer.name] = noise * active[layer.name]
    return found


def _dot(a: Vector, b: Vector) -> Tensor:
    return torch.stack([(value * b[name]).flatten(1).sum(1) for name, value in a.items()]).sum(0)


def _norm(a: Vector) -> Tensor:
    return _dot(a, a).sqrt()


def _spread(per_sample: Tensor, like: Tensor) -> Tensor:
    return per_sample.view(-1, *[1] * (like.ndim - 1))


def _scaled(a: Vector, size: Tensor) -> Vector:
    """a / size of each sample; 0 where the recurrence has ended."""
    inverse = torch.where(size > 0, 1 / size, torch.zeros_like(size))
    return {name: value * _spread(inverse, value) for name, value in a.items()}
