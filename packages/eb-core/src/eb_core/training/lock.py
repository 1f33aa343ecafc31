"""One writer for each run: a lock of the operating system on a file in its directory. It ends with its process."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from eb_core.registry import UsageError
from eb_core.training.manifest import read_manifest, status_of

LOCK: Final = ".lock"


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the run directory `path` alone for the time of the block.

    Raises:
        UsageError: somebody else holds it, in this process or another one; or it cannot be locked.
    """
    lock = FileLock(path / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{path} is being written by {_writer(path)}",
            origin=str(path / LOCK),
            advice="wait for it or stop it first",
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be locked: {error.strerror or error}",
            origin=str(path / LOCK),
            advice="a run is written where you may write, by one process at a time",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _writer(path: Path) -> str:
    """Who holds a run, as far as its manifest tells: it is signed a moment after the lock has been taken."""
    with contextlib.suppress(UsageError):
        manifest = read_manifest(path)
        process = manifest["process"]
        if (process["host"], process["pid"]) == (platform.node(), os.getpid()):
            return f"this process, {process['pid']} on {process['host']}"
        if status_of({**manifest, "status": "running"}) == "running":
            return f"process {process['pid']} on {process['host']}"
    return "another process"
