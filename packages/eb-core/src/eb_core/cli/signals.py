"""How a command takes SIGINT (Ctrl-C), SIGTERM and SIGHUP: it ends in good order, quietly, with exit code 128 + number.

    starting   nothing is at stake, and half of Python is not imported yet: it ends at once
    running    the first signal raises `Interrupted`; for a second, what follows is the same wish
    ending     there are only words left to say: they are said

Only the standard library is imported here. A signal that was ignored when the process began (nohup) stays ignored.
"""

import atexit
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
AGAIN = 1.0
"""Seconds after a signal in which more of them mean no more than the first."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the command; its text is the signal's name."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _Stage:
    """Where the command stands."""

    name = "starting"
    heard = -AGAIN
    process = 0


def install() -> None:
    """Heed the signals from here on; not in a thread, which gets none."""
    if threading.current_thread() is not threading.main_thread():
        return
    _Stage.name, _Stage.heard, _Stage.process = "starting", -AGAIN, os.getpid()
    for name in NAMES:
        number = getattr(signal, name, None)  # there is no SIGHUP on Windows
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _take)
            atexit.register(signal.signal, number, signal.SIG_IGN)  # what Python takes down would else end it


def _take(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if os.getpid() != _Stage.process:  # a fork of the command: no run is its business
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    elif now - _Stage.heard < AGAIN:
        return
    elif _Stage.name == "running":
        _Stage.heard = now
        raise Interrupted(number)
    else:
        with contextlib.suppress(OSError):
            os.write(2, b"interrupted\n")
        os._exit(128 + number)


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Signals raise within this block, from its first moment; after it they wait for the last words."""
    _Stage.name, _Stage.heard = "running", -AGAIN
    try:
        yield
    finally:
        _Stage.name, _Stage.heard = "ending", time.monotonic()


def exit_code(error: KeyboardInterrupt) -> int:
    """What a shell expects of a command that a signal ended."""
    return 128 + getattr(error, "number", int(signal.SIGINT))
