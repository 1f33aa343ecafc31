"""Boards of one's own, in numpy: a sound one, and one with faults that can be switched on. No torch is imported."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from eb_core.device import (
    Capabilities,
    Couplings,
    Device,
    DeviceBackend,
    Drive,
    Programmed,
    Readout,
    TransientError,
    configurable,
    option,
)


class Board(Device):
    """Quadratic units by damped sweeps of all units at once."""

    couplings: Couplings

    def __init__(self, sweeps: int = 80) -> None:
        self.sweeps = sweeps
        self.s = np.zeros((0, 0))

    def program(self, couplings: Couplings) -> Programmed | None:
        self.couplings = couplings
        return None

    def settle(self, drive: Drive, deadline: float) -> Readout:
        start = drive.start
        if isinstance(start, str):
            s = np.zeros_like(drive.field) if start == "reset" or self.s.shape != drive.field.shape else self.s
        else:
            s = start
        bend = 1.0 if drive.curvature is None else 1.0 + drive.curvature
        for _ in range(self.sweeps):
            aim = np.clip(
                (s @ self.couplings.dense() + drive.field) / bend, self.couplings.lowest, self.couplings.highest
            )
            s = s + 0.5 * (aim - s)
            if drive.held is not None and drive.values is not None:
                s = np.where(drive.held, drive.values, s)
        self.s = s
        return Readout(s.copy())

    def close(self) -> None:
        pass


@configurable
class Sound(DeviceBackend):
    """The sound board."""

    isolated: bool = option(default=False, help="in a process of its own")

    def capabilities(self) -> Capabilities:
        return Capabilities(unit="cell", starts=("reset", "last"), max_batch=6, settle_seconds=0.002, watts=2.0)

    def connect(self) -> Device:
        return Board()


class FaultyBoard(Board):
    """A board that misbehaves in its settle number `at`, counted over all processes in a file."""

    def __init__(self, backend: "Faulty") -> None:
        super().__init__()
        self.fault, self.at, self.times = backend.fault, backend.at, backend.times
        self.counter = Path(backend.counter)
        self.counter.with_suffix(".pid").write_text(str(os.getpid()))
        self._now("connect")

    def _now(self, call: str) -> bool:
        """Whether it is time for the fault, which belongs to this call."""
        where = self.fault.partition(" ")[0] if self.fault.partition(" ")[0] in CALLS else "settle"
        if where != call:
            return False
        log = self.counter.with_suffix(f".{call}")
        done = len(log.read_text()) if log.exists() else 0
        log.write_text("x" * (done + 1))
        if not self.at <= done < self.at + self.times:
            return False
        if self.fault.partition(" ")[0] in CALLS:
            raise OSError(f"the {call} line is dead")
        return True

    def program(self, couplings: Couplings) -> Programmed | None:
        self._now("program")
        return super().program(couplings)

    def settle(self, drive: Drive, deadline: float) -> Any:
        readout = super().settle(drive, deadline)
        return FAULTS[self.fault](readout.values) if self._now("settle") else readout

    def close(self) -> None:
        self._now("close")
        with self.counter.with_suffix(".closed").open("a") as log:
            log.write("x")


CALLS = ("connect", "program", "close")


def _raised(error: BaseException) -> Any:
    raise error


def _with(values: np.ndarray[Any, Any], place: Any, value: float) -> Readout:
    values = values.copy()
    values[place] = value
    return Readout(values)


FAULTS: dict[str, Any] = {
    "all nan": lambda v: Readout(v * np.nan),
    "one nan": lambda v: _with(v, (1, 2), np.nan),
    "7s - 3": lambda v: Readout(7 * v - 3),
    "hidden x 1e6": lambda v: Readout(np.concatenate([v[:, :-2] * 1e6, v[:, -2:]], axis=1)),
    "zeros": lambda v: Readout(v * 0),
    "one unit too many": lambda v: Readout(np.concatenate([v, v[:, :1]], axis=1)),
    "one output too few": lambda v: Readout(v[:, :-1]),
    "one sample short": lambda v: Readout(v[:-1]),
    "one row": lambda v: Readout(v[0]),
    "objects": lambda v: Readout(v.astype(object)),
    "text": lambda v: Readout(v.astype(str)),
    "a list": lambda v: Readout(v.tolist()),
    "None": lambda v: None,
    "an array": lambda v: v,
    "complex": lambda v: Readout(v + 0j),
    "codes": lambda v: Readout((100 * v).astype(np.int64)),
    "settled of one": lambda v: Readout(v, settled=np.ones(1, dtype=bool)),
    "raises": lambda v: _raised(ValueError("over-temperature")),
    "transient": lambda v: _raised(TransientError("packet lost")),
    "hangs": lambda v: time.sleep(60),
    "crashes": lambda v: os.kill(os.getpid(), signal.SIGSEGV),
    "half precision": lambda v: Readout(v.astype(np.float16)),
    "connect": None,
    "program": None,
    "close": None,
    "none": None,
}


@configurable
class Faulty(Sound):
    """A board with a fault."""

    fault: str = option(default="none", help="which one")
    at: int = option(default=0, help="calls before it", ge=0)
    times: int = option(default=1_000_000, help="calls with it", ge=1)
    counter: str = option(default="", help="file beside which calls are counted")

    def connect(self) -> Device:
        return FaultyBoard(self)
