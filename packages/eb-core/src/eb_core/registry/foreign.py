"""A stranger's code is run with care: while it is imported, it ends nothing, hides nothing, and is named if slow."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from eb_core.registry.wording import shown

PATIENCE: Final = 3.0
"""After so many seconds a line on stderr says what is being waited for."""


@contextlib.contextmanager
def foreign(what: str, advice: str = "") -> Iterator[None]:
    """Run code that others wrote; `what` names it while it is waited for.

    * What it prints goes to stderr: stdout belongs to the command.
    * The streams, the folder and the handlers of signals are afterwards what they were before.
    * `os._exit` raises `SystemExit` instead, in this thread and in those that the code starts. A thread that ran
      before, and the child of a fork, still ends with it. Not caught are a crash, `os.abort`, `os.kill`, `os.exec…`, an
      `_exit` that was taken from `os` earlier, and whatever the code leaves behind to happen later (`atexit`).
    """
    here, handlers = _folder(), {number: signal.getsignal(number) for number in _SIGNALS}
    with _exits_refused(), _named_if_slow(what, advice), contextlib.redirect_stderr(sys.stderr):
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        finally:
            if here and _folder() != here:
                os.chdir(here)
            for number, handler in handlers.items():
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


_EXIT: Final = os._exit
_SIGNALS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return None


@contextlib.contextmanager
def _exits_refused() -> Iterator[None]:
    process = os.getpid()
    strangers = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def refuse(status: int) -> NoReturn:
        if os.getpid() != process or threading.get_ident() in strangers:
            _EXIT(status)
        raise SystemExit(f"it called os._exit({shown(status)})")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = _EXIT


@contextlib.contextmanager
def _named_if_slow(what: str, advice: str) -> Iterator[None]:
    stderr: Any = sys.stderr

    def name() -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is closed or None
            stderr.write(f"waiting for {what}{advice and ': '}{advice}\n")
            stderr.flush()

    watch = threading.Timer(PATIENCE, name)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()
