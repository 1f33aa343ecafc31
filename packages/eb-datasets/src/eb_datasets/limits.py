"""How much memory there is, asked before a file is believed that declares its size; and limits of a process."""

import contextlib
import faulthandler
import os
import time

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]


def memory() -> int:
    """Bytes of memory that this process may use: those of the computer, or fewer if it was given a limit."""
    sizes = []
    if hasattr(os, "sysconf"):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if resource is not None:
        sizes.append(resource.getrlimit(resource.RLIMIT_AS)[0])
    return min((size for size in sizes if size > 0), default=2**63)


def afford(size: int, what: str) -> None:
    """Let `size` bytes pass if they leave half of the memory free.

    Raises:
        ValueError: they would not.
    """
    if size > memory() // 2:
        raise ValueError(f"{what} would take {size / 2**30:,.1f} GiB of {memory() / 2**30:,.1f} GiB of memory")


def limit(seconds: int, room: int) -> None:
    """End this process after so many more seconds of computing; its memory, all in all, ends at `room` bytes.

    Where the system has no such limits, after ten times the seconds on the clock.
    """
    if resource is None:
        faulthandler.dump_traceback_later(10 * seconds, exit=True)
        return
    limits = {
        resource.RLIMIT_CPU: int(time.process_time()) + seconds,
        resource.RLIMIT_AS: min(room, memory()),
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # where a system knows the limit and does not set it
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))
