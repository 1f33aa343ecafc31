"""A file on the disk: whether it is there, and one error for whatever goes wrong while it is read."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from eb_core import UsageError

LONGEST = 300
"""Characters of somebody else's message or path that are shown."""


def shown(text: object) -> str:
    """Text as it is, or its beginning if it is long."""
    long = str(text)
    return long if len(long) <= LONGEST else f"{long[:LONGEST]}…"


def expanded(path: str | Path) -> Path:
    """The path with ~ replaced by a home folder.

    Raises:
        UsageError: there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(
            f"there is no home folder '{Path(path).parts[0]}'", origin=shown(path), advice="write the path in full"
        ) from None


def present(path: Path) -> Path | None:
    """The path if it leads to a regular file: none that is a folder, and none that is a pipe and may never end.

    Raises:
        UsageError: it cannot be followed: no permission, too long, links in a circle, no name of a file.
    """
    return path if kind_of(path) == "file" else None


def kind_of(path: Path) -> str:
    """What the path leads to: "file", "folder", "pipe or device", or "" for nothing.

    Raises:
        UsageError: it cannot be followed.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"a path cannot be followed: {reason}",
            origin=shown(repr(str(path))[1:-1]),
            advice="check the path and the permissions of the folders on it",
        ) from None
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "pipe or device"


@contextlib.contextmanager
def reading(path: Path, kind: str, advice: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one error.

    Args:
        path: the file.
        kind: what the file is not if it cannot be read, such as "table of samples".
        advice: what the error advises.
    """
    try:
        yield
    except UsageError:
        raise
    except MemoryError:
        problem = "it takes more memory than there is"
    except Exception as error:  # noqa: BLE001 - a damaged file fails in any way it likes
        problem = shown(error) or type(error).__name__
    else:
        return
    raise UsageError(f"{path.name} is no {kind}: {problem}", origin=str(path), advice=advice) from None


def size_of(path: Path) -> int:
    """Bytes of the file, or 0 if it has gone."""
    with contextlib.suppress(OSError):
        return os.path.getsize(path)
    return 0
