"""A session of an author's own that changes what it should leave alone."""

from typing import Any

import attrs
import torch

from eb_core.device.session import DeviceSession
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation
from eb_core.settling.state import State


class Changed(DeviceSession):
    def settle(
        self, problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        backend: Any = self.backend
        if backend.way == "nudge":
            problem = attrs.evolve(problem, nudge=None)
        relaxation: Relaxation = super().settle(problem, start)
        if backend.way == "start" and start is not None:
            for value in start.units.values():
                value.add_(1e-3)
        return relaxation
