"""Dynamics that remember something within a phase and hand nothing on: each phase starts afresh.

The memory of a workspace follows the samples when settled ones leave the batch, which is why moments and counters
live there. It also goes out with the state; here what is named by `prefix` is taken off at both ends.
"""

from typing import ClassVar

import attrs
import torch

from eb_core import IterativeRelaxer, Problem, Relaxation, State, configurable


@configurable
class WithinPhase(IterativeRelaxer):
    """Base of relaxers whose memory, under names that begin with `prefix`, lasts for one call."""

    divisible = False

    prefix: ClassVar[str]

    def relax(
        self,
        problem: Problem,
        start: State | None = None,
        *,
        generator: torch.Generator | None = None,
        trace: bool = False,
    ) -> Relaxation:
        begin = None if start is None else self._forget(start)
        end = super().relax(problem, begin, generator=generator, trace=trace)
        return attrs.evolve(end, state=self._forget(end.state))

    def iterate(self, problem: Problem, state: State, steps: int, *, generator: torch.Generator | None = None) -> State:
        return self._forget(super().iterate(problem, self._forget(state), steps, generator=generator))

    def _forget(self, state: State) -> State:
        return State(
            state.units, {name: value for name, value in state.memory.items() if not name.startswith(self.prefix)}
        )
