"""A backend is the place where settling happens: this computer, an emulated chip, a real device.

`open` prepares the device for a network, `Session.upload_parameters` sends new weights (slow path, once per update),
`Session.settle` settles one phase (fast path). Buffers and caches live in the session. What comes back from a backend's
`settle` is checked, whoever wrote it: the base class wraps it when the subclass is defined. So does it with `open`,
which asks whether all parts fit, and with `close`, after which nothing settles.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import torch

from eb_core.learning.fit import require_fit
from eb_core.learning.settled import fault_of, is_sound
from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.registry import EbError, RunError
from eb_core.registry.setup import Diagnostic, Setup
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
        settler = f"{type(self).__name__} with {type(self.relaxer).__name__}"
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


def _fitting(open_: Callable[..., "Session"]) -> Callable[..., "Session"]:
    """`open` of a backend, after dynamics, physics, wiring and backend have been asked whether they fit."""

    @functools.wraps(open_)
    def wrapper(
        self: "Backend", network: Network, energy: Energy, relaxer: Relaxer, *arguments: Any, **named: Any
    ) -> "Session":
        device, dtype = named.get("device"), named.get("dtype")
        require_fit(Setup(network=network, energy=energy, relaxer=relaxer, backend=self, device=device, dtype=dtype))
        return open_(self, network, energy, relaxer, *arguments, **named)

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
    """

    supports_stacked_phases: bool = False
    simulates: bool = False
    closed: bool = False

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

    def upload_parameters(self) -> None:
        """Send the network's current parameters to the device; called after every weight update."""
        return

    def close(self) -> None:
        """Give the device back; nothing settles afterwards (`closed`)."""
        self.closed = True


class Backend(ABC):
    """A recipe for sessions: a frozen value whose options say how to reach and drive the device."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        own = vars(cls).get("open")
        if own is not None and not hasattr(own, "__wrapped__"):
            cls.open = _fitting(own)  # type: ignore[method-assign]

    @abstractmethod
    def open(
        self, network: Network, energy: Energy, relaxer: Relaxer, *, device: torch.device, dtype: torch.dtype
    ) -> Session:
        """A session; network and all tensors handed to it are on `device` and in `dtype`.

        Raises:
            UsageError: dynamics, physics, wiring and this backend do not fit each other; asked before it is called.
        """

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """What this device has to say of what it is to work with; see `Setup`."""
        return ()
