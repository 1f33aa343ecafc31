"""A stranger's code is run with care: while it is imported, it ends nothing, hides nothing, and is named if slow."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NoReturn

PATIENCE: Final = 3.0
"""After so many seconds a line on stderr says what is being waited for."""


@contextlib.contextmanager
def foreign(what: str, advice: str = "") -> Iterator[None]:
    """Run code that others wrote; `what` names it while it is waited for.

    * What it prints goes to stderr: stdout belongs to the command.
    * The streams, the folder and the handlers of signals are afterwards what they were before.
    * What would end the process without an exception (`os._exit`, `os.abort`, `os.exec…`) raises `SystemExit`, in this
      thread and in those that the code starts; in these, it is raised here when the code has run. A thread that was
      there before, and the child of a fork, go on as they like.

    Not caught are a crash, `os.kill`, a function that was taken from `os` earlier, what C code and other processes
    write to stdout, and what the code leaves behind to happen later: in `atexit`, or in a thread that goes on.
    """
    here, handlers = _folder(), {number: signal.getsignal(number) for number in _SIGNALS}
    with _exits_refused(), _named_if_slow(what, advice), contextlib.redirect_stderr(sys.stderr):
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        finally:
            with contextlib.suppress(OSError):  # it has been deleted
                if here and _folder() != here:
                    os.chdir(here)
            for number, handler in handlers.items():
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


_SIGNALS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return None


@contextlib.contextmanager
def _exits_refused() -> Iterator[None]:
    process, called = os.getpid(), set[str]()
    here = threading.get_ident()
    others = {thread.ident for thread in threading.enumerate()} - {here}

    def refuse(name: str, *args: Any, **kwargs: Any) -> NoReturn:
        if os.getpid() != process or threading.get_ident() in others:
            _ENDS[name](*args, **kwargs)
        if threading.get_ident() != here:
            called.add(name)
        raise SystemExit(f"it called os.{name}")

    for name in _ENDS:
        _put(name, partial(refuse, name))
    try:
        yield
    finally:
        for name, function in _ENDS.items():
            _put(name, function)
    if called:
        raise SystemExit(f"a thread of it called os.{', os.'.join(sorted(called))}")


_ENDS: Final[dict[str, Callable[..., Any]]] = {
    name: getattr(os, name) for name in ("_exit", "abort", "execv", "execve")
}
"""All ways to end this process without an exception; the other `os.exec…` call these."""


def _put(name: str, function: Callable[..., Any]) -> None:
    for module in (os, sys.modules[os.name]):  # `os` took them from `posix` or `nt`
        setattr(module, name, function)


@contextlib.contextmanager
def _named_if_slow(what: str, advice: str) -> Iterator[None]:
    stderr: Any = sys.stderr

    def name() -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is closed or None
            stderr.write(f"waiting for {what}{advice and ': '}{advice}\n")
            stderr.flush()

    watch = None
    with contextlib.suppress(RuntimeError):  # no thread can be started
        watch = threading.Timer(PATIENCE, name)
        watch.daemon = True
        watch.start()
    try:
        yield
    finally:
        if watch:
            watch.cancel()
