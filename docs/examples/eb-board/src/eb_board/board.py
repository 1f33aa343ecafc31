"""The board: its device, which speaks to the driver, and its backend, which says how to reach it."""

import numpy as np

from eb_board.driver import Connection
from eb_core.device import (
    Couplings,
    Device,
    DeviceBackend,
    Drive,
    Programmed,
    Readout,
    TransientError,
    configurable,
    option,
)


class BoardDevice(Device):
    """Volts in, volts out."""

    def __init__(self, port: str) -> None:
        self.connection = Connection(port)

    def program(self, couplings: Couplings) -> Programmed | None:
        """J as codes of 8 bits; the core has put all couplings on these levels already."""
        self.connection.load(np.rint(couplings.dense() * 128), couplings.outputs)
        return None

    def settle(self, drive: Drive, deadline: float) -> Readout:
        """2 ms, then all voltages."""
        try:
            volts = self.connection.run(drive.field, drive.curvature, keep=drive.start == "last")
        except ConnectionResetError as error:
            raise TransientError(str(error)) from error
        return Readout(volts, seconds=0.002)

    def close(self) -> None:
        self.connection.release()


@configurable
class Board(DeviceBackend):
    """An analog board with 256 units in two columns."""

    port: str = option(default="/dev/ttyUSB0", help="where the board is connected", reaches_out=True)

    def connect(self) -> Device:
        """The board at `port`, ready to be programmed."""
        return BoardDevice(self.port)
