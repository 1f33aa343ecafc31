"""Parts for the tests of resuming: a rule that hands a state from batch to batch, and another network."""

import torch
from foreign_physics import Chain
from torch import Tensor

from eb_core import (
    Cost,
    Dense,
    GradientEstimate,
    Network,
    Problem,
    Rule,
    Session,
    State,
    configurable,
    contrast,
)


@configurable
class Warm(Rule):
    """Centred equilibrium propagation whose free phase starts where that of the last batch ended, with its memory."""

    def estimate(
        self,
        session: Session,
        x: Tensor,
        target: Tensor,
        cost: Cost,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        problem = Problem.free(session.network, session.energy, x)
        start = carry.select(torch.arange(len(x)) % carry.batch) if carry else None
        free = session.settle(problem, start, generator=generator)
        up, down = (
            session.settle(problem.nudged(cost, target, b), free.state, generator=generator) for b in (0.1, -0.1)
        )
        gradients = contrast(problem, [(5.0, up.state), (-5.0, down.state)])
        readout = problem.readout(free.state)
        phases = {"free": free, "up": up, "down": down}
        return GradientEstimate(gradients, cost.value(readout, target), readout, phases, carry=up.state)


@configurable
class Wide(Chain):
    """Another network."""

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        edges = [Dense("input", "hidden1", input_shape, (9,)), Dense("hidden1", "output", (9,), (outputs,))]
        return Network([("input", input_shape), ("hidden1", (9,)), ("output", (outputs,))], edges)
