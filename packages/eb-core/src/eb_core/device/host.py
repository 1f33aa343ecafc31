"""Where a device lives: in a process of its own, which a deadline can end, or in this one.

A blocking call into a driver cannot be interrupted, and a driver that crashes takes its process with it. So the parent
sends method and arguments, waits for an answer until the deadline, and ends the process if there is none. The child
imports the module of the backend and no torch.
"""

import os
import subprocess
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from eb_core.device.contract import Device, DeviceError, TransientError

if TYPE_CHECKING:
    from eb_core.device.backend import DeviceBackend

CLOSING: Final = 5.0
"""Seconds that a device gets to close."""


class LostError(DeviceError):
    """The device is gone: it raised, crashed, or did not answer in time. It must be opened anew."""


class Host(ABC):
    """A device that is connected."""

    @abstractmethod
    def call(self, method: str, *arguments: Any, deadline: float) -> Any:
        """The result of a method of the device.

        Raises:
            TransientError: the device says so.
            LostError: anything else.
        """

    @abstractmethod
    def close(self) -> str | None:
        """Close the device; what went wrong in doing so, or None. The second time it does nothing."""


class InProcess(Host):
    """The device in this process: no deadline can end it."""

    def __init__(self, connect: Callable[[], Device]) -> None:
        try:
            self._device: Device | None = _connected(connect)
        except Exception as error:
            raise LostError(f"it cannot be connected: {_told(error)}") from error

    def call(self, method: str, *arguments: Any, deadline: float) -> Any:
        try:
            return getattr(self._device, method)(*arguments)
        except TransientError:
            raise
        except Exception as error:
            raise LostError(f"{method}: {_told(error)}") from error

    def close(self) -> str | None:
        device, self._device = self._device, None
        try:
            if device is not None:
                device.close()
        except Exception as error:  # noqa: BLE001 - a broken device may raise anything, and hides no result
            return _told(error)
        return None


class Child(Host):
    """The device in a process of its own."""

    def __init__(self, backend: "DeviceBackend") -> None:
        if os.name != "posix":
            raise LostError("a process of its own needs Linux or macOS: set isolated = false")
        self._connection, theirs = Pipe()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        environment.setdefault("OMP_NUM_THREADS", "1")  # it shares the machine with the training, whose threads count
        command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for the parent, which then closes the device
        )
        theirs.close()
        try:
            self._send(backend)
            self._answer("connect", backend.deadline)
        except BaseException:
            self._end()
            raise

    def _send(self, message: Any) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            raise LostError(f"its process is gone ({self._status()})") from error
        except Exception as error:
            raise LostError(
                f"the backend cannot be sent to a process of its own: {_told(error)}: define it in a module, or set"
                " isolated = false"
            ) from error

    def _answer(self, method: str, deadline: float) -> Any:
        try:
            if not self._connection.poll(deadline):
                self._end()
                raise LostError(f"{method}: no answer within {deadline:g} s")
            kind, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise LostError(f"{method}: its process crashed ({self._status()})") from error
        except BaseException:  # Ctrl-C: what would be answered now belongs to no later question
            self._end()
            raise
        if kind == "transient":
            raise TransientError(value)
        if kind == "lost":
            raise LostError(f"{method}: {value}" if method != "connect" else f"it cannot be connected: {value}")
        return value

    def _status(self) -> str:
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "no exit status"
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def call(self, method: str, *arguments: Any, deadline: float) -> Any:
        self._send((method, arguments))
        return self._answer(method, deadline)

    def close(self) -> str | None:
        if self._connection.closed:
            return None
        try:
            self.call("close", deadline=CLOSING)
        except DeviceError as error:
            return str(error)
        finally:
            self._end()
        return None

    def _end(self) -> None:
        self._connection.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _connected(connect: Callable[[], Device]) -> Device:
    device = connect()
    if not isinstance(device, Device):
        raise TypeError(f"connect gave a {type(device).__name__}, expected is a Device")
    return device


def serve(descriptor: int) -> None:
    """The child: connect the device of the backend that comes first, then do what is asked until nobody asks."""
    os.dup2(2, 1)  # what a driver prints is no result of the command
    threading.Thread(target=_outlive, args=(os.getppid(),), daemon=True).start()
    with Connection(descriptor) as connection:
        try:
            device = _connected(connection.recv().connect)
        except BaseException as error:  # noqa: BLE001 - said to the parent
            connection.send(("lost", _told(error)))
            return
        connection.send(("done", None))
        try:
            _serve(connection, device)
        except (EOFError, OSError):
            device.close()  # the parent is gone


def _outlive(parent: int) -> None:
    """End this process after its parent, even if the device hangs; one that does not is closed first."""
    while os.getppid() == parent:
        time.sleep(0.2)
    time.sleep(CLOSING)
    os._exit(1)


def _serve(connection: Connection, device: Device) -> None:
    while True:
        method, arguments = connection.recv()
        try:
            answer = "done", getattr(device, method)(*arguments)
        except TransientError as error:
            answer = "transient", _told(error)
        except Exception as error:  # noqa: BLE001 - said to the parent
            traceback.print_exc()
            answer = "lost", _told(error)
        connection.send(answer)
        if method == "close":
            return


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


if __name__ == "__main__":
    serve(int(sys.argv[1]))
