"""Run one command in this process, and see everything it does: exit code, output, exceptions, time, side effects.

A process of its own would take one to two seconds for each. Here the command is called as the console script calls it;
its output is taken from the file descriptors, an alarm ends it, and what it leaves changed in the process is put back.
"""

import contextlib
import json
import os
import random
import re
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, BinaryIO

import attrs
import numpy as np
import torch
import typer

LIMIT = 5.0
"""Seconds of computing, or of waiting for nothing, after which a command counts as hanging."""

LONG = 20_000
"""Bytes of output that are too many for an error."""

EXIT_CODES = (0, 1, 2, 3, 75, 130)
_OF_OTHERS = ("EB_PLUGINS_", "EB_TRACEBACK", "KMP_", "TORCHINDUCTOR_")
"""How variables begin that flags set, and that scikit-learn and torch set when they are first used."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_OURS = re.compile(r"eb_\w+")


class Hang(BaseException):
    """It takes too long."""


class OfflineError(OSError):
    """Nobody is called from here."""


@attrs.define
class Seen:
    """What a command did.

    Args:
        code: exit code; None if it ended in another way.
        error: the exception behind the exit code, or the one that came through.
        place: where in our code it was raised.
        hung: where it was when its time was over.
        changed: what of the process it left changed.
        called: addresses that it wanted to talk to.
        modules: modules that it imported.
    """

    code: int | None = None
    error: BaseException | None = None
    place: str = ""
    hung: str = ""
    out: str = ""
    err: str = ""
    seconds: float = 0.0
    changed: list[str] = attrs.field(factory=list)
    called: list[str] = attrs.field(factory=list)
    modules: frozenset[str] = frozenset()

    @property
    def raised(self) -> str:
        """Type of the exception and its place."""
        return f"{type(self.error).__name__} in {self.place}"

    def faults(self, words: Sequence[str]) -> list[tuple[str, str]]:
        """Findings (kind, detail) that need no knowledge of the input."""
        said = self.out + self.err
        found = [("changed", what) for what in self.changed]
        if self.hung:
            return [("hang", self.hung), *found]
        if self.code is None:
            found.append(("raised", self.raised))
        elif self.code not in EXIT_CODES:
            found.append(("exit code", str(self.code)))
        elif "--traceback shows the whole way there" in said:
            found.append(("internal error", self.raised))
        if "Traceback (most recent call last)" in said and "--traceback" not in words:
            found.append(("traceback", self.raised))
        if self.code and len(said) > LONG:
            found.append(("long", f"{self.code}: {self.raised}"))
        if self.code and not said.strip():
            found.append(("silent", self.raised))
        if _CONTROL.search(said):
            found.append(("control characters", self.raised if self.error else f"exit code {self.code}"))
        if re.search(r"^\S+\.py:\d+: (?!User)\w*Warning: ", self.err, re.MULTILINE):
            found.append(("warning", re.findall(r"(\w+\.py:\d+: (?!User)\w*Warning): ", self.err)[0]))
        if (
            self.code == 0
            and "--json" in words
            and not {"--help", "-h", "--version"} & {*words}
            and not _is_json(self.out)
        ):
            found.append(("no JSON", self.raised if self.error else words[0]))
        return found


def _is_json(text: str) -> bool:
    """Whether it is one JSON document, which knows no NaN."""
    try:
        json.loads(text, parse_constant=_no_number)
    except ValueError:
        return False
    return True


def _no_number(name: str) -> float:
    raise ValueError(name)


def watch(call: Callable[[], Any], limit: float = LIMIT) -> Seen:
    """Call it; whatever it raises is in what was seen."""
    seen, modules = Seen(), set(sys.modules)

    def over(_: int, frame: FrameType | None) -> None:
        used, waited = time.process_time() - started, time.monotonic() - began
        if waited / 20 < used < limit and waited < 4 * limit:
            return  # the machine has other things to do, too
        seen.hung = seen.hung or _innermost(traceback.walk_stack(frame))
        raise Hang

    before, handler = _state(), signal.signal(signal.SIGALRM, over)
    with _captured(seen), _offline(seen.called), _environment():
        began, started = time.monotonic(), time.process_time()
        try:
            signal.setitimer(signal.ITIMER_REAL, limit, 1.0)
            call()
            seen.code = 0
        except BaseException as error:  # noqa: BLE001 - to see what comes is the purpose
            seen.error = _cause(error)
            seen.code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else None
            seen.code = 0 if isinstance(error, SystemExit) and error.code is None else seen.code
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        seen.seconds = time.monotonic() - began
        seen.changed = [name for name, value in _state().items() if value != before[name]]
    signal.signal(signal.SIGALRM, handler)
    if seen.error is not None:
        seen.place = _innermost(traceback.walk_tb(seen.error.__traceback__))
    seen.modules = frozenset(set(sys.modules) - modules)
    return seen


def _cause(error: BaseException) -> BaseException | None:
    """The exception behind those that only carry an exit code."""
    below: BaseException | None = error
    while isinstance(below, SystemExit | typer.Exit):
        below = below.__cause__ or below.__context__
    return below


def _innermost(frames: Iterator[tuple[FrameType, int]]) -> str:
    """`module.function` of the innermost frame in our packages; frames of a traceback come from the outside."""
    stack = [frame for frame, _ in frames]
    if len(stack) > 1 and stack[1] is stack[0].f_back:
        stack.reverse()
    ours = [one for one in stack if _OURS.match(one.f_globals.get("__name__") or "")]
    return f"{ours[-1].f_globals['__name__']}.{ours[-1].f_code.co_qualname}" if ours else "nowhere in our code"


def _state() -> dict[str, Any]:
    """What a command has no business to change in the process."""
    return {
        "random state of Python": hash(random.getstate()),
        "random state of NumPy": hash(np.random.get_state()[1].tobytes()),
        "random state of torch": hash(torch.get_rng_state().numpy().tobytes()),
        "working directory": os.getcwd(),
        "environment": {name: value for name, value in os.environ.items() if not name.startswith(_OF_OTHERS)},
        "threads": torch.get_num_threads(),
        "default type": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "path": list(sys.path),
    }


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Put environment and working directory back."""
    kept, folder = dict(os.environ), os.getcwd()
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(kept)


@contextlib.contextmanager
def _offline(called: list[str]) -> Iterator[None]:
    """No connection is made; who was to be called is noted."""

    def refuse(*address: Any, **_: Any) -> Any:
        called.append(str(address))
        raise OfflineError("this machine is offline")

    kept = socket.getaddrinfo, socket.create_connection
    socket.getaddrinfo = socket.create_connection = refuse
    try:
        yield
    finally:
        socket.getaddrinfo, socket.create_connection = kept


@contextlib.contextmanager
def _captured(seen: Seen) -> Iterator[None]:
    """Both output streams, of Python and of the process, into `seen`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept, streams = (os.dup(1), os.dup(2)), (sys.stdout, sys.stderr)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as Python opens them
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        own = sys.stdout, sys.stderr
        try:
            yield
        finally:
            for stream in {*own, sys.stdout, sys.stderr}:
                with contextlib.suppress(Exception):
                    stream.flush()
            sys.stdout, sys.stderr = streams
            for number, descriptor in zip((1, 2), kept, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
            seen.out, seen.err = _text(out), _text(err)


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(5_000_000).decode("utf-8", "replace")
