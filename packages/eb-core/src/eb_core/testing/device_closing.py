"""Giving the device back: after use, twice, after an error, after it was cut off in the middle."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

import numpy as np

from eb_core.device.contract import DeviceError, Drive
from eb_core.device.host import Child, LostError
from eb_core.device.session import DeviceSession
from eb_core.testing.device_bench import Bench, Recorder
from eb_core.testing.report import Case, SkippedError, within, words

PATIENCE = 5.0
"""Seconds after its deadline in which a device must be given up."""


def closes(bench: Bench) -> Iterator[Case]:
    """It closes: after use, a second time, after a drive that makes no sense; opened again, it settles as before."""
    network = bench.net()
    problem = bench.samples(network)
    session = bench.open(network)
    first = session.settle(problem).state
    yield _closed(session.close, "after use")
    yield _closed(session.close, "a second time")
    with _silent():
        session = bench.open(network)
    session.settle(problem)
    host = session.line.host
    assert host is not None
    with contextlib.suppress(DeviceError):
        host.call("settle", Drive("free", np.zeros((1, session.placement.size + 1))), 1.0, deadline=60.0)
    yield _closed(session.close, "after an error")
    with bench.session(network) as (again, _):
        settled = again.settle(problem).state
        yield within("opened again, it settles as before", bench.apart(first, settled, network), bench.blur)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """A process that is started meanwhile prints no traceback: the error is meant."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _closed(close: Callable[[], None], when: str) -> Case:
    try:
        close()
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is looked for
        return Case(f"{when}, close raised: {words(error)}", False)
    return Case(f"{when}", True)


def deadline(bench: Bench) -> Iterator[Case]:
    """Given up in time in the middle of a phase, or killed with its process, it opens anew and settles as before."""
    if not bench.backend.isolated:
        raise SkippedError("it shares this process, where no deadline can end it: isolated = true")
    network = bench.net()
    problem = bench.samples(network)
    with bench.session(network) as (session, _):
        first = session.settle(problem).state
        host, drive = session.line.host, Drive("free", np.zeros((1, session.placement.size)))
        assert host is not None
        started = time.perf_counter()
        try:
            host.call("settle", drive, 0.0, deadline=0.0)
        except LostError:
            taken = time.perf_counter() - started
            yield within("seconds until it was given up", taken, PATIENCE)
        else:
            yield Case("it answered in no time at all", True)
        settled = session.settle(problem).state
        yield within("opened anew, it settles as before", bench.apart(first, settled, network), bench.blur)
        _kill(session)
        settled = session.settle(problem).state
        yield within(
            "after its process was killed, it settles as before", bench.apart(first, settled, network), bench.blur
        )


def _kill(session: DeviceSession) -> None:
    """End the process of a device that is open, as a crash would, so that it closes nothing."""
    host = session.line.host
    child = host.host if isinstance(host, Recorder) else host
    assert isinstance(child, Child), "an isolated device lives in a process of its own"
    child._process.kill()
    child._process.wait()


def goes_on(bench: Bench) -> Iterator[Case]:
    """What a checkpoint keeps of it leads on as if it had never stopped."""
    network = bench.net()
    problem = bench.samples(network)
    with bench.session(network) as (session, _):
        session.settle(problem)
        kept = session.state()
        if kept is None:
            raise SkippedError("it has nothing that a checkpoint must keep")
        expected = session.settle(problem).state
        session.restore(kept)
        off = bench.apart(session.settle(problem).state, expected, network)
        yield within("restored in the same session", off, 1e-9)
    with bench.session(network) as (session, _):
        session.restore(kept)
        off = bench.apart(session.settle(problem).state, expected, network)
        yield within("restored in another session", off, 1e-9)
