"""The line to a device: a call is made again after a transient error, and on a device opened anew where it was lost."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import tenacity

from eb_core.device.contract import Device, TransientError
from eb_core.device.host import Child, Host, InProcess, LostError
from eb_core.device.usage import Usage
from eb_core.registry import RunError
from eb_core.registry.wording import shown

if TYPE_CHECKING:
    from eb_core.device.backend import DeviceBackend


class Line:
    """A device that is connected, and connected again when it was lost.

    Args:
        backend: how to reach it, how often and how long to try.
        name: of the device, for messages.
        counts: where retries and openings are counted.
        connect: makes the device in this process, for one that is a simulation; None: what the backend connects.
        opened: called whenever it was connected: nothing is known of its state then.

    Attributes:
        host: where it lives; None once it is closed.
        calibration: the figures of its last calibration.

    Raises:
        RunError: it cannot be connected.
    """

    def __init__(
        self,
        backend: "DeviceBackend",
        name: str,
        counts: Usage,
        connect: Callable[[], Device] | None,
        opened: Callable[[], None],
    ) -> None:
        self.backend, self.name, self.counts = backend, name, counts
        self._make, self._opened = connect, opened
        self.host: Host | None = None
        self.calibration: Mapping[str, float] = {}
        try:
            self._connect()
        except LostError as error:
            advice = "is it on, and is it free? what it said itself is above"
            raise RunError(f"{name}: {error}", origin="--backend", advice=advice) from error

    def _connect(self) -> None:
        self._opened()
        if self._make is None and self.backend.isolated:
            self.host = Child(self.backend)
        else:
            self.host = InProcess(self._make or self.backend.connect)
        figures = self.call("calibrate") or {}
        try:
            self.calibration = {str(name): float(value) for name, value in figures.items()}
        except (AttributeError, TypeError, ValueError):
            raise LostError(f"calibrate gave {shown(figures)}, expected are figures by name") from None

    def call(self, method: str, *arguments: Any) -> Any:
        """A method of the device, again after a transient error.

        Raises:
            LostError: it failed.
        """
        host = self.host
        assert host is not None, "a session that is closed settles nothing"

        def count(_: tenacity.RetryCallState) -> None:
            self.counts.retries += 1

        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=tenacity.stop_after_attempt(self.backend.retries + 1),
            wait=tenacity.wait_exponential(multiplier=0.01, max=1.0),
            before_sleep=count,
            reraise=True,
        )
        try:
            return again(host.call, method, *arguments, deadline=self.backend.deadline)
        except LostError:
            raise
        except TransientError as error:
            raise LostError(f"{method}: {error}, {self.backend.retries + 1} times in a row") from error

    def persistently(self, action: Callable[[], Any], phase: str) -> Any:
        """`action`, a second time on a device opened anew where it was lost.

        Raises:
            RunError: it was lost again.
        """
        try:
            return action()
        except LostError as first:
            try:
                self.counts.reopened += 1
                if self.host is not None:
                    self.host.close()
                self._connect()
                return action()
            except LostError as second:
                again = "" if str(second) == str(first) else f"; and opened anew, {second}"
                raise RunError(
                    f"{self.name}, {phase} phase: {first}{again}",
                    origin="the device",
                    advice="mend or restart it; a training that keeps a run directory goes on from its checkpoint",
                ) from second

    def close(self) -> None:
        """Close the device; the second time nothing happens.

        Raises:
            RunError: it cannot be closed.
        """
        host, self.host = self.host, None
        unclosed = host.close() if host is not None else None
        if unclosed is not None:
            raise RunError(f"{self.name}: {unclosed}", origin="the device")
