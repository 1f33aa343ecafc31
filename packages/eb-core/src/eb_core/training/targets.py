"""Files and folders that are to be written: tried out before any work starts, and nothing is left behind."""

import os
import tempfile
from pathlib import Path

from eb_core.registry import UsageError


def check_folder(folder: str | Path, origin: str) -> None:
    """Refuse a folder that could not be made or written to.

    Raises:
        UsageError: so it is; or its name is empty, or begins with a `~` that no shell has replaced.
    """
    if not str(folder) or str(folder).startswith("~"):
        reason = "~ is not replaced by a home directory here" if str(folder) else "its name is empty"
        raise _refused(folder, reason, origin)
    nearest = Path(folder).absolute()
    try:
        while not _exists(nearest):
            nearest = nearest.parent
        os.rmdir(tempfile.mkdtemp(dir=nearest))
    except (OSError, ValueError) as error:
        reason = f"{nearest} is no folder that you may write to ({_reason(error)})"
        raise _refused(folder, reason, origin) from None


def check_file(file: Path, what: str, origin: str) -> None:
    """Refuse a file that could not be written, or that would replace what is no plain file: a folder, a device.

    Args:
        file: where it would be written.
        what: goes into it.
        origin: where the error says that the path comes from, such as `--plot curves.png`.

    Raises:
        UsageError: so it is.
    """
    try:
        if _exists(file) and not file.is_file():
            raise FileExistsError(None, "there is something of this name that is no file")
        os.rmdir(tempfile.mkdtemp(dir=file.absolute().parent))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{what} cannot be written: {_reason(error)}",
            origin=origin,
            advice="give a file in a folder that you may write to",
        ) from None


def _exists(path: Path) -> bool:
    """Whether something is there; a name that can never be there is an error."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    return True


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _refused(folder: str | Path, reason: str, origin: str) -> UsageError:
    return UsageError(f"no run can be written to {folder}: {reason}", origin=origin, advice="choose another folder")
