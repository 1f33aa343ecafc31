"""A backend is the place where settling happens: this computer, an emulated chip, a real device.

`open` prepares the device for a network, `Session.upload_parameters` sends new weights (slow path, once per update),
`Session.settle` settles one phase (fast path). Buffers and caches live in the session. The base class wraps `open` when
a subclass is defined: all parts are asked whether they fit. This module imports no torch.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from eb_core.learning.fit import require_fit
from eb_core.registry.setup import Diagnostic, Setup

if TYPE_CHECKING:
    import torch

    from eb_core.learning.session import Session
    from eb_core.network.network import Network
    from eb_core.physics.energy import Energy
    from eb_core.settling.relaxer import Relaxer


def _fitting(open_: Callable[..., "Session"]) -> Callable[..., "Session"]:
    """`open` of a backend, after dynamics, physics, wiring and backend have been asked whether they fit."""

    @functools.wraps(open_)
    def wrapper(
        self: "Backend", network: "Network", energy: "Energy", relaxer: "Relaxer", *arguments: Any, **named: Any
    ) -> "Session":
        device, dtype = named.get("device"), named.get("dtype")
        require_fit(Setup(network=network, energy=energy, relaxer=relaxer, backend=self, device=device, dtype=dtype))
        return open_(self, network, energy, relaxer, *arguments, **named)

    return wrapper


class Backend(ABC):
    """A recipe for sessions: a frozen value whose options say how to reach and drive the device.

    `own_dynamics` says that it settles by a dynamics of its own: then no relaxer takes part.
    """

    own_dynamics: ClassVar[bool] = False

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        own = vars(cls).get("open")
        if own is not None and not hasattr(own, "__wrapped__"):
            cls.open = _fitting(own)  # type: ignore[method-assign]

    @abstractmethod
    def open(
        self, network: "Network", energy: "Energy", relaxer: "Relaxer", *, device: "torch.device", dtype: "torch.dtype"
    ) -> "Session":
        """A session; network and all tensors handed to it are on `device` and in `dtype`.

        Raises:
            UsageError: dynamics, physics, wiring and this backend do not fit each other; asked before it is called.
        """

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """What this device has to say of what it is to work with; see `Setup`."""
        return ()
