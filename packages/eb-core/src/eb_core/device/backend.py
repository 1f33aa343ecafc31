"""A backend whose device settles: what an author writes beside the `Device` itself. It imports no torch.

    @configurable
    class Acme(DeviceBackend):
        port: str = option(default="/dev/ttyUSB0", help="where the board is", reaches_out=True)

        def connect(self) -> Device:
            return AcmeBoard(self.port)

The file `capabilities.toml` beside its module says what the board can do. The core asks that everything fits, places
layers on units, cuts batches, converts, checks what comes back, tries again, opens anew, and counts.
"""

import importlib.util
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from eb_core.device.capabilities import Capabilities, read_capabilities
from eb_core.device.contract import Device
from eb_core.learning.backend import Backend
from eb_core.registry import Diagnostic, Setup, configurable, option

if TYPE_CHECKING:
    import torch

    from eb_core.device.placement import Placement
    from eb_core.learning.session import Session
    from eb_core.network.network import Network
    from eb_core.physics.energy import Energy
    from eb_core.settling.relaxer import Relaxer


@configurable
class DeviceBackend(Backend):
    """A device of `capabilities` that settles by itself; `connect` reaches it.

    `capabilities_file` is relative to the module of the class.
    """

    capabilities_file: ClassVar[str] = "capabilities.toml"
    own_dynamics: ClassVar[bool] = True

    probed: str | None = option(
        default=None, help="capabilities file that `eb doctor --probe` wrote, in place of the one of the package"
    )
    isolated: bool = option(
        default=True, help="keep the device in a process of its own, which a deadline can end and a crash cannot hurt"
    )
    deadline: float = option(default=60.0, help="longest time of one call of the device", unit="s", gt=0)
    retries: int = option(default=3, help="so often a call with a transient error is made again", ge=0)
    reads: int = option(default=1, help="states read of each sample: gradients average over them", ge=1)
    allow_lossy: bool = option(
        default=False, help="go on although more than a hundredth of the couplings lies outside the range of the device"
    )
    shadow: bool = option(
        default=True,
        help="keep weights in full precision beside those on the device; without, training goes on from what the"
        " device holds",
    )

    @abstractmethod
    def connect(self) -> Device:
        """The device, ready to be programmed; called in the process where it will live."""

    def capabilities(self) -> Capabilities:
        """What the device can do, without speaking to it.

        Raises:
            UsageError: the file cannot be read.
        """
        if self.probed is not None:
            return read_capabilities(Path(self.probed))
        spec = importlib.util.find_spec(type(self).__module__)
        home = Path(spec.origin).parent if spec and spec.origin else Path()
        return read_capabilities(home / self.capabilities_file)

    def named(self, capabilities: Capabilities) -> str:
        """What a device of these capabilities is called: its class, and its serial number where it has one."""
        return type(self).__name__ + (f" {capabilities.serial}" if capabilities.serial else "")

    def probe(self) -> Capabilities:
        """What the real device says of itself: serial number, date, measured ranges. `eb doctor --probe` keeps it.

        Default: what `capabilities` says, which measures nothing; then there is nothing to keep.
        """
        return self.capabilities()

    def compile(self, network: "Network", energy: "Energy") -> "Placement":
        """Which unit of the device each unit of the network is; all misfits and losses are in it."""
        from eb_core.device.placement import place  # noqa: PLC0415 - torch

        return place(network, energy, self.capabilities())

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """Everything that the capabilities do not offer, each with what is needed and what there is."""
        from eb_core.device.needs import misfits  # noqa: PLC0415 - torch

        return misfits(self, setup)

    def open(
        self, network: "Network", energy: "Energy", relaxer: "Relaxer", *, device: "torch.device", dtype: "torch.dtype"
    ) -> "Session":
        from eb_core.device.session import DeviceSession  # noqa: PLC0415 - torch

        return DeviceSession(network, energy, relaxer, self)
