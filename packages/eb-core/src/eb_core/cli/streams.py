"""stdout and stderr that never end a command: what cannot be written is dropped, what cannot be encoded is replaced.

A training goes on when its terminal is gone. Whether stdout was lost is asked at the end.
"""

import codecs
import errno
import functools
import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any, TextIO

from eb_core.cli.render import show_fault
from eb_core.registry import Fault

LOST = 1
"""Exit code of a command that did its work but could not say the result."""


class Outlet(io.FileIO):
    """The raw end of a standard stream: after the first failure it drops everything.

    Attributes:
        lost: why stdout cannot be written, or None.
        excused: the command has said elsewhere what matters.
    """

    lost: OSError | None = None
    excused = False

    def write(self, data: Any) -> int:
        while self.lost is None:
            try:
                written = super().write(data)
            except OSError as error:
                self.lost = error
            else:
                if written is not None:
                    return written
                select.select([], [self], [])  # somebody made the pipe non-blocking, and it is full
        return memoryview(data).nbytes


def on_standard_streams(main: Callable[[], None]) -> Callable[[], None]:
    """Run the entry point `main` on such streams; a lost stdout is said on stderr and is exit code 1.

    A reader that has gone (`eb runs | head -1`) has all it wanted: that is no error.
    """

    @functools.wraps(main)
    def wrapper() -> None:
        before = sys.stdout, sys.stderr
        _fill_closed()
        sys.stdout, sys.stderr = _stream(sys.stdout, 1), _stream(sys.stderr, 2)
        try:
            code: Any = None
            try:
                main()
            except SystemExit as ended:
                code = ended.code
            sys.stdout.flush()
            outlet = _outlet()
            if outlet and outlet.lost and not outlet.excused and outlet.lost.errno != errno.EPIPE:
                advice = "make room, or send it elsewhere"
                show_fault(Fault(f"the output cannot be written: {outlet.lost.strerror}", "stdout", advice))
                code = code or LOST
            sys.exit(code)
        finally:
            sys.stderr.flush()
            sys.stdout, sys.stderr = before

    return wrapper


def excuse_lost_stdout() -> str | None:
    """Why nothing reaches stdout, or None; the caller then says on stderr what matters, so that it is no error."""
    outlet = _outlet()
    if outlet is None or outlet.lost is None:
        return None
    outlet.excused = True
    return outlet.lost.strerror


def _outlet() -> Outlet | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, Outlet) else None


def _fill_closed() -> None:
    """Open what of the first three descriptors is closed, so that no file of a run is opened there.

    Writing to them is an error that an outlet drops.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) < 3:
        pass
    os.close(descriptor)


def _stream(stream: TextIO | None, descriptor: int) -> Any:
    """`stream` with an outlet at its end; as it is where it is no file, as in a notebook or on a Windows console."""
    if stream is None:
        return _wrapped(descriptor, "utf-8", line_buffering=False)
    binary = getattr(stream, "buffer", None)
    if type(getattr(binary, "raw", binary)) is not io.FileIO:
        return stream
    stream.flush()
    return _wrapped(stream.fileno(), stream.encoding, line_buffering=bool(stream.line_buffering))


def _wrapped(descriptor: int, encoding: str, *, line_buffering: bool) -> io.TextIOWrapper:
    outlet = Outlet(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(outlet), encoding, errors="eb-stand-in", line_buffering=line_buffering)


_STAND_INS = str.maketrans({**dict(zip("▁▂▃▄▅▆▇█", "12345678", strict=True)), "±": "+-", "…": "...", "•": "-"})


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """An encoder's way out: ASCII that means the same, or an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_STAND_INS)
    return text.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error("eb-stand-in", _stand_in)
