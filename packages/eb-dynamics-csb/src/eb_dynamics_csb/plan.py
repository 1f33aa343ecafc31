"""What is prepared once for a workspace: the pace, the motion at that pace, and when to look at sigma."""

from typing import Literal

from eb_core import Workspace
from eb_dynamics_csb.fused import FusedMotion
from eb_dynamics_csb.pace import AGE, LOOK_AT, Pace, begin, chosen, look
from eb_dynamics_csb.plain import PlainMotion
from eb_dynamics_csb.stability import Update, unit_curvature


class Plan:
    """The iterations of one workspace.

    Args:
        given: the pace that the options fix, or None if it is chosen.
        fast: whether the fused motion may serve; it works in place and records nothing.

    Attributes:
        pace: now; it changes once, when sigma has been looked at.
        fused: whether the motion is the fused one.
    """

    def __init__(
        self,
        work: Workspace,
        given: Pace | None,
        *,
        update: Update,
        order: Literal["colour", "forward"],
        noise: float,
        closed: bool,
        fast: bool,
    ) -> None:
        self._work, self._given, self._update = work, given, update
        self._noise, self._closed, self._fast = noise, closed, fast
        self._curvature = unit_curvature(work.energy)
        self._order = list(work.layers) if update == "parallel" else work.order(order)
        self._age = begin(work) if given is None else None
        self._renew()

    def _renew(self) -> None:
        work, given, parallel = self._work, self._given, self._update == "parallel"
        self.pace = chosen(self._update, self._curvature, work.memory) if given is None else given
        fused = None
        if self._fast:
            fused = FusedMotion.of(work, self._order, self.pace, self._noise, self._closed, parallel)
        self.fused = fused is not None
        self._motion = fused or PlainMotion(
            work,
            self._order,
            self.pace,
            noise=self._noise,
            closed=self._closed,
            parallel=parallel,
            curvature=self._curvature,
        )

    def run(self, count: int) -> None:
        """So many iterations; sigma is looked at when it is due."""
        while count:
            left = None if self._age is None else LOOK_AT - 1 - self._age
            some = min(count, max(left, 1)) if left is not None and left >= 0 else count
            before = self._work.state().units if left == 0 else {}
            self._motion.run(some)
            count -= some
            if self._age is not None:
                self._age += some
                self._work.memory[AGE] = self._work.memory[AGE] + some
            if left == 0:
                look(self._work, before, self._curvature)
                self._renew()
