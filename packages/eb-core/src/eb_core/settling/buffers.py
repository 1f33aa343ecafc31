"""Where phases settle: in buffers that a session keeps for each kind of phase, or recorded where these do not serve."""

from typing import TYPE_CHECKING

import torch

from eb_core.settling.buffered import BufferedView
from eb_core.settling.problem import Problem
from eb_core.settling.state import State
from eb_core.settling.view import View

if TYPE_CHECKING:
    from eb_core.settling.iterative import IterativeRelaxer

KEPT = 8
"""Views that a session keeps."""
EAGER = 3
"""Iterations of a view that is kept before one is noted."""


def can_buffer(problem: Problem) -> bool:
    """Whether buffers serve: flat layers joined by matrices, and neither autograd nor rounding of products follows."""
    network = problem.network
    return (
        not _is_followed(problem)
        and bool(problem.free_layers)
        and all(len(layer.shape) == 1 for layer in network.unit_layers)
        and all(edge.pre == network.input or edge.as_matrix() is not None for edge in network.edges.values())
    )


def _is_followed(problem: Problem) -> bool:
    return torch.is_grad_enabled() or torch.is_autocast_enabled(problem.x.device.type)


class Buffers:
    """The buffered views of one session, used again by every batch of the same kind.

    Args:
        are_kept: whether there will be more phases.
    """

    def __init__(self, are_kept: bool = True) -> None:
        self._are_kept = are_kept
        self._views: list[tuple[IterativeRelaxer, BufferedView]] = []

    def open(
        self, problem: Problem, start: State | None, generator: torch.Generator | None, relaxer: "IterativeRelaxer"
    ) -> View:
        """A view of this phase at `start`, or at the initial state, buffered where that serves."""
        if not _is_followed(problem):
            for owner, view in self._views:
                if owner is relaxer and view.suits(problem):
                    view.load(problem, start, generator)
                    return view
            if can_buffer(problem):
                start = problem.initial_state() if start is None else start
                if not self._are_kept:
                    return BufferedView(problem, start, generator)
                new = BufferedView(problem, start, generator, EAGER)
                self._views = [*self._views[1 - KEPT :], (relaxer, new)]
                return new
        return View(problem, problem.initial_state() if start is None else start, generator)
