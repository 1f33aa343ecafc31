"""Files whose readers can crash, hang or take all memory, read in a process of their own, where that is an error.

One wrong byte can do it in a MATLAB file (SciPy's reader is C), in a pickle (a program) and in an archive (a bomb).
The process limits itself, reads one file after the other with a function that this one names, and answers through its
standard output, for each file

    {"arrays": [[TYPE, SHAPE], …]} or {"error": TEXT}, a line of JSON, then the bytes of each array in turn.

It imports no torch and is there in a tenth of a second; the user's own program is not imported again in it.
"""

import importlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from eb_datasets.files import shown, size_of
from eb_datasets.folders import reading_of
from eb_datasets.limits import limit
from eb_datasets.published import Published

SECONDS: Final = 4
BYTES_PER_SECOND: Final = 10_000_000
"""A file is given so much time of computing, and a second more for so many bytes of it: ten times what is usual."""

ROOM: Final = 2 * 2**30
ROOM_PER_BYTE: Final = 8
"""A process is given so much memory, its programs included, and so much more for each byte of its files."""

Arrays = Sequence[NDArray[Any]]


def read_apart(
    reader: Callable[..., Arrays], paths: Iterable[Path], published: Published, **options: Any
) -> list[list[NDArray[Any]]]:
    """What `reader(path, **options)` returns for each path, called in a process of its own.

    Args:
        reader: a function of a module that imports no torch; it raises ValueError for a file that is wrong.
        paths: files to read, one after the other.
        published: the data set that they belong to, for errors.
        options: whatever JSON can hold.

    Raises:
        UsageError: a file is wrong, or reading it crashes, takes too long, or takes too much memory.
    """
    files = [*map(Path.absolute, paths)]
    size = sum(map(size_of, files))
    limits = SECONDS + size // BYTES_PER_SECOND, ROOM + ROOM_PER_BYTE * size
    order = json.dumps([f"{reader.__module__}:{reader.__qualname__}", [*map(str, files)], options, *limits])
    # one thread: the libraries of linear algebra, which are not used, take memory for each
    alone = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    environment = os.environ | alone | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-P", "-W", "ignore", "-m", __name__, order]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet) as process:
        try:
            contents = []
            for path in files:
                with reading_of(path, published):
                    contents.append(_received(process))
            return contents
        finally:
            process.kill()


def _received(process: "subprocess.Popen[bytes]") -> list[NDArray[Any]]:
    stream = process.stdout
    assert isinstance(stream, io.BufferedReader)
    line = stream.readline()
    answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"error": _end(process)}
    if "error" in answer:
        raise ValueError(answer["error"])
    arrays: list[NDArray[Any]] = [np.empty(shape, dtype) for dtype, shape in answer["arrays"]]
    for array in arrays:
        if stream.readinto(array.data.cast("B")) < array.nbytes:
            raise ValueError(_end(process))
    return arrays


def _end(process: "subprocess.Popen[bytes]") -> str:
    """How a process ended that did not answer."""
    code = process.wait()
    if -code == getattr(signal, "SIGXCPU", -1):  # without that signal the process ends with 1
        return "it takes far longer than a file of this size should"
    name = next((one.name for one in signal.Signals if one == -code), code)
    return f"it is damaged in a way that crashes its reader ({name})"


def _answer(
    function: str, paths: list[str], options: dict[str, Any], seconds: int, room: int, *, out: IO[bytes]
) -> None:
    """In the process of its own: read all files."""
    module, _, name = function.partition(":")
    reader: Callable[..., Arrays] = getattr(importlib.import_module(module), name)
    limit(seconds, room)
    for path in paths:
        arrays: list[NDArray[Any]] = []
        try:
            arrays = [np.ascontiguousarray(array) for array in reader(Path(path), **options)]
            answer: dict[str, Any] = {"arrays": [[array.dtype.str, array.shape] for array in arrays]}
        except MemoryError:
            answer = {"error": "it takes far more memory than a file of this size should"}
        except Exception as error:  # noqa: BLE001 - a damaged file fails in any way it likes
            answer = {"error": shown(error) or type(error).__name__}
        out.write(json.dumps(answer).encode() + b"\n")
        for array in arrays:
            out.write(array.data)
        out.flush()


if __name__ == "__main__":
    _answer(*json.loads(sys.argv[1]), out=sys.stdout.buffer)
