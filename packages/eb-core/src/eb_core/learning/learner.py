"""What learns and predicts: a network with its physics, dynamics, rule, cost and classes, and a session to settle in.

The trainer, its evaluation, its diagnosis and a trained net are uses of one.
"""

import attrs
import torch
from torch import Tensor

from eb_core.learning.backend import Backend
from eb_core.learning.rule import GradientEstimate, Rule
from eb_core.learning.session import Closable, Session
from eb_core.network.network import Network
from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry.setup import Setup
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State


@attrs.frozen(eq=False)
class Learner(Closable):
    """The parts of a net that learns, and the session that they settle in.

    It opens a session when it first settles, and keeps it until `close` or the end of a `with` block; after that it
    opens another one when it is used again. `attrs.evolve` makes a learner with other parts and a session of its own.

    Args:
        classes: number of classes; seed: of the noise of predictions.
    """

    network: Network
    energy: Energy
    relaxer: Relaxer
    backend: Backend
    rule: Rule
    cost: Cost
    classes: int
    seed: int = 0
    _sessions: list[Session] = attrs.field(factory=list, init=False)

    @property
    def like(self) -> Tensor:
        """A tensor of the network's dtype, on its device."""
        return next(self.network.parameters())

    @property
    def setup(self) -> Setup:
        """All parts, to be asked whether they fit."""
        return Setup(
            energy=self.energy,
            relaxer=self.relaxer,
            rule=self.rule,
            cost=self.cost,
            backend=self.backend,
            network=self.network,
            device=self.like.device,
            dtype=self.like.dtype,
        )

    @property
    def session(self) -> Session:
        """The session that it settles in, opened now if there is none; it may not know the present weights yet.

        Raises:
            UsageError, RunError: the backend cannot be opened.
        """
        if not self._sessions:
            opened = self.backend.open(
                self.network, self.energy, self.relaxer, device=self.like.device, dtype=self.like.dtype
            )
            self._sessions.append(opened)
            opened.__enter__()
        return self._sessions[0]

    def close(self) -> None:
        """Give the device back."""
        while self._sessions:
            self._sessions.pop().__exit__(None, None, None)

    def target(self, labels: Tensor) -> Tensor:
        """What the cost compares read-outs with, (B, outputs), for labels (B,)."""
        return self.cost.encode(labels, self.classes, self.energy, self.like.dtype)

    def infer(self, x: Tensor, *, generator: torch.Generator | None = None) -> Relaxation:
        """The state that predictions are read from, for inputs (B, *input shape) in the dtype of the network.

        Raises:
            UsageError: x does not fit the network.
            RunError: it does not settle to a state that can be read.
        """
        return self.rule.infer(self.session, Problem.free(self.network, self.energy, x), generator=generator)

    def estimate(
        self,
        x: Tensor,
        labels: Tensor,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        """The rule's estimate of the gradient on a batch: x (B, *input shape), labels (B,)."""
        session, target = self.session, self.target(labels)
        most = session.largest_batch or len(x)
        parts = []
        for first in range(0, len(x), most):
            rows = slice(first, first + most)
            own = carry if most >= len(x) or carry is None else carry.select(rows)
            part = self.rule.estimate(session, x[rows], target[rows], self.cost, carry=own, generator=generator)
            parts.append(part)
        return GradientEstimate.join(parts)
