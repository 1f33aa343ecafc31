"""A backend is the place where settling happens: this computer, an emulated chip, a real device.

`open` prepares the device for a network, `Session.program` sends new weights (slow path, once per update),
`Session.settle` settles one phase (fast path) by `settle_phase`, which a backend implements. Buffers and caches live
in the session.
"""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self, final

import torch

from eb_core.learning.settled import fault_of, is_sound
from eb_core.registry import EbError, RunError
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State
from eb_core.things.energy import Energy
from eb_core.things.network import Network


class Session(ABC):
    """An opened backend: implement `settle_phase`. A context manager; it belongs to one network, energy and relaxer.

    `stacks` says that a batch may hold several phases, each sample with its own beta, as well as one phase:
    true of a simulation, rarely of a device.
    """

    stacks: bool = False

    def __init__(self, network: Network, energy: Energy, relaxer: Relaxer) -> None:
        self.network, self.energy, self.relaxer = network, energy, relaxer

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "settle" in vars(cls):
            raise TypeError(f"{cls.__name__} overrides settle: implement settle_phase, whose result settle checks")

    @final
    def settle(
        self, problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        """Settle one phase, from `start` or from rest, and check what comes back.

        Raises:
            RunError: settling failed, or a state came back that has another shape or precision than the problem, is
                not finite, outside its domain, or not at the value of its clamp (values are checked on the CPU only).
        """
        try:
            relaxation = self.settle_phase(problem, start, generator=generator)
        except EbError:
            raise
        except Exception as error:
            raise RunError(
                f"{self._settler}, {problem.phase} phase: {type(error).__name__}: {error}",
                origin=self._settler,
                advice=f"an option of the dynamics is beyond what {problem.x.dtype} can hold"
                if "overflow" in str(error)
                else "--traceback shows where; report it to the authors of the dynamics or the backend",
            ) from error
        if not is_sound(relaxation, problem):
            fault = fault_of(relaxation, problem, self.relaxer, self._settler)
            if fault:
                raise RunError(fault)
        return relaxation

    @abstractmethod
    def settle_phase(
        self, problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        """Settle one phase, from `start` or from rest: what a backend does its own way. `settle` calls it."""

    @property
    def _settler(self) -> str:
        return f"{type(self).__name__} with {type(self.relaxer).__name__}"

    def program(self) -> None:
        """Send the network's current parameters to the device; called after every weight update."""
        return

    def close(self) -> None:
        """Give the device back."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Backend(ABC):
    """A recipe for sessions: a frozen value whose options say how to reach and drive the device."""

    @abstractmethod
    def open(
        self, network: Network, energy: Energy, relaxer: Relaxer, *, device: torch.device, dtype: torch.dtype
    ) -> Session:
        """A session; network and all tensors handed to it are on `device` and in `dtype`."""

    def why_not(self, energy: Energy, relaxer: Relaxer) -> str | None:
        """Why this device cannot run that physics or dynamics, or None; checked before any work starts."""
        return None
