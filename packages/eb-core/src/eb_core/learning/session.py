"""A session is an opened backend: it settles the phases of one network.

What comes back from the `settle` of a subclass is checked, whoever wrote it: the base class wraps it when the subclass
is defined. So does it with `close`, after which nothing settles.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import torch

from eb_core.learning.settled import fault_of, is_sound
from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.registry import EbError, RunError
from eb_core.registry.wording import told
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State

Settle = Callable[..., Relaxation]


def _checked(settle: Settle) -> Settle:
    """`settle` of a backend, with a check of what comes back."""

    @functools.wraps(settle)
    def wrapper(
        self: "Session", problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        settler = self.settler
        if self.closed:
            raise RunError(f"{settler} is closed", advice="open another session: Backend.open, or use the net again")
        try:
            relaxation = settle(self, problem, start, generator=generator)
        except EbError:
            raise
        except Exception as error:
            raise RunError(
                f"{settler}, {problem.phase} phase: {told(error)}",
                origin=settler,
                advice=f"an option of the dynamics is beyond what {problem.x.dtype} can hold"
                if "overflow" in str(error)
                else "--traceback shows where; report it to the authors of the dynamics or the backend",
            ) from error
        if not is_sound(relaxation, problem):
            fault = fault_of(relaxation, problem, self.relaxer, settler)
            if fault:
                raise RunError(fault)
        return relaxation

    return wrapper


def _closing(close: Callable[["Session"], None]) -> Callable[["Session"], None]:
    """`close` of a backend, after which the session is closed even where it failed."""

    @functools.wraps(close)
    def wrapper(self: "Session") -> None:
        self.closed = True
        close(self)

    return wrapper


class Closable(ABC):
    """A context manager that calls `close` at its end."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Session(Closable):
    """An opened backend. A context manager; it belongs to one network, energy and relaxer.

    `supports_stacked_phases` says that a batch may hold several phases, each sample with its own beta, as well as one.

    `simulates` says that `settle` is `relaxer` on this computer: its iterations may be differentiated, and settled anew
    in another precision to see what a training lacks.

    `largest_batch` is the number of samples that all phases of one estimate may have, None for any: of more, a learner
    estimates part by part, all phases of one before the next, because most chips cannot be set back to a state.
    """

    supports_stacked_phases: bool = False
    simulates: bool = False
    closed: bool = False
    largest_batch: int | None = None

    def __init__(self, network: Network, energy: Energy, relaxer: Relaxer) -> None:
        self.network, self.energy, self.relaxer = network, energy, relaxer

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name, wrap in (("settle", _checked), ("close", _closing)):
            own = vars(cls).get(name)
            if own is not None and not hasattr(own, "__wrapped__"):
                setattr(cls, name, wrap(own))

    @abstractmethod
    def settle(
        self, problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        """Settle one phase, from `start` or from rest. What a backend hands back is checked.

        Raises:
            RunError: settling failed, or a state came back that has another shape or precision than the problem, is
                not finite, outside its domain, or not at the value of its clamp (values are checked on the CPU only).
        """

    @property
    def settler(self) -> str:
        """Who settles, in words."""
        return f"{type(self).__name__} with {type(self.relaxer).__name__}"

    @property
    def usage(self) -> Mapping[str, float]:
        """Sums since it was opened, by name: settles, device seconds, joules, whatever there is to count."""
        return {}

    @property
    def facts(self) -> Mapping[str, Any]:
        """What a manifest says of the device, as plain values: serial number, figures of its calibration."""
        return {}

    def state(self) -> bytes | None:
        """What a checkpoint must keep of the device beside the weights, or None."""
        return None

    def restore(self, state: bytes) -> None:
        """Go on from what `state` gave."""

    def upload_parameters(self) -> None:
        """Send the network's current parameters to the device; called after every weight update."""
        return

    def close(self) -> None:
        """Give the device back; nothing settles afterwards (`closed`)."""
        self.closed = True
