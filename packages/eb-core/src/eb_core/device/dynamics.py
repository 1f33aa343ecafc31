"""What stands in place of a relaxer where a device settles by itself."""

from typing import NoReturn

import torch

from eb_core.registry import RunError, configurable
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Properties, Relaxation, Relaxer
from eb_core.settling.state import State


@configurable
class OnDevice(Relaxer):
    """The dynamics of a device: nothing of it runs on this computer."""

    def properties(self) -> Properties:
        """It is no simulation, so that nothing is known of its iterations."""
        return Properties(resumable=False, needs_force=False)

    def relax(
        self,
        problem: Problem,
        start: State | None = None,
        *,
        generator: torch.Generator | None = None,
        trace: bool = False,
    ) -> Relaxation:
        _refuse()

    def iterate(self, problem: Problem, state: State, steps: int, *, generator: torch.Generator | None = None) -> State:
        _refuse()


def _refuse() -> NoReturn:
    raise RunError("a device settles by itself, and this asks for a simulation", advice="choose --backend simulator")
