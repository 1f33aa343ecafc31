"""The simulator: settling on this computer, by the relaxer itself."""

import torch

from eb_core.learning.backend import Backend, Session
from eb_core.registry import UsageError, configurable
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State
from eb_core.things.energy import Energy
from eb_core.things.network import Network


class SimulatorSession(Session):
    """Settles with `relaxer.relax`; weights need no programming, they are read where they lie."""

    stacks = True

    def settle(
        self, problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        return self.relaxer.relax(problem, start, generator=generator)


@configurable
class Simulator(Backend):
    """Runs every relaxer and energy on the CPU or GPU of this computer."""

    def open(
        self, network: Network, energy: Energy, relaxer: Relaxer, *, device: torch.device, dtype: torch.dtype
    ) -> Session:
        reason = relaxer.why_not_on(network)
        if reason:
            raise UsageError(
                f"this relaxer does not fit this model: {reason}", advice="choose another relaxer or model"
            )
        return SimulatorSession(network, energy, relaxer)
