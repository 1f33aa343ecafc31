"""Boards in numpy, sound ones and wrong ones, each wrong in one place. No torch is imported, so that a child process
that one of them lives in starts quickly.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from eb_core.device import (
    Capabilities,
    Couplings,
    Device,
    DeviceBackend,
    Drive,
    Programmed,
    Readout,
    configurable,
    option,
)
from eb_core.device.levels import encoded
from eb_core.registry import Diagnostic, Setup

Array = np.ndarray[Any, Any]
REAL = 8
"""Units of the second column that the short board really has."""


class Board(Device):
    """Quadratic units by damped sweeps of all units at once; a fault overrides one of the small methods."""

    def __init__(self, backend: "Made") -> None:
        self.backend, self.said = backend, backend.capabilities()
        self.rng = np.random.default_rng(0)
        self.stands = np.zeros((0, 0))
        self.J = self.W = np.zeros((0, 0))

    def program(self, couplings: Couplings) -> Programmed | None:
        self.couplings = couplings
        self.J = couplings.dense()
        if self.said.inputs == "units":
            self.W = np.zeros((couplings.size, max(len(block.columns) for block in couplings.inputs)))
            for block in couplings.inputs:
                self.W[np.ix_(block.rows, block.columns)] += block.values
        return None

    def settle(self, drive: Drive, deadline: float) -> Any:
        s = self.start(drive)
        field, bend = self.field(drive), 1.0 + (0.0 if drive.curvature is None else self.curvature(drive))
        for _ in range(120):
            aim = np.clip((s @ self.J + field) / bend, self.couplings.lowest, self.couplings.highest)
            s = self.hold(s + 0.5 * (aim - s), drive)
        self.stands = s
        return Readout(self.read(s))

    def start(self, drive: Drive) -> Array:
        if not isinstance(drive.start, str):
            return drive.start
        return self.stands if drive.start == "last" and len(self.stands) == drive.batch else np.zeros_like(drive.field)

    def field(self, drive: Drive) -> Array:
        return drive.field if drive.inputs is None else drive.field + drive.inputs @ self.W.T

    def curvature(self, drive: Drive) -> Array:
        assert drive.curvature is not None
        return drive.curvature

    def hold(self, s: Array, drive: Drive) -> Array:
        return s if drive.held is None else np.where(drive.held, drive.values, s)

    def read(self, s: Array) -> Array:
        """Codes where the read-out has levels, else values with noise."""
        if self.said.readout_noise:
            s = s + self.said.readout_noise * self.rng.standard_normal(s.shape)
        if self.said.readout_bits is None:
            return s.copy()
        return self.codes(s, self.said.readout_bits)

    def codes(self, s: Array, bits: int) -> Array:
        low, high = self.couplings.lowest, np.maximum(self.couplings.highest, self.couplings.lowest + 1e-9)
        shares: Array = encoded((s - low) / (high - low), (0.0, 1.0), bits, is_circle=False)
        return shares

    def close(self) -> None:
        pass


DIGITAL = Capabilities(
    unit="cell",
    units={"A": 20, "B": 12},
    topology="bipartite",
    ranges={"hidden": (0.0, 1.0), "output": (-0.5, 1.5)},
    weight_range=(-1.0, 1.0),
    weight_bits=8,
    field_range=(-4.0, 4.0),
    readout_bits=8,
    clamp="units",
    starts=("reset", "last", "write"),
    stacks_phases=True,
    max_batch=16,
)
ANALOG = attrs.evolve(
    DIGITAL, readout_bits=None, ranges={}, readout_noise=0.002, stacks_phases=False, starts=("reset", "last")
)


class IgnoresProgram(Board):
    def program(self, couplings: Couplings) -> Programmed | None:
        return None if self.J.size else super().program(couplings)


class KeepsOldForZero(Board):
    def program(self, couplings: Couplings) -> Programmed | None:
        return None if self.J.any() and not couplings.dense().any() else super().program(couplings)


class Transposes(Board):
    """Of square blocks nothing shows in the shapes."""

    def program(self, couplings: Couplings) -> Programmed | None:
        turned = tuple(
            attrs.evolve(block, values=block.values.T.copy()) if len(block.rows) == len(block.columns) else block
            for block in couplings.blocks
        )
        return super().program(attrs.evolve(couplings, blocks=turned))


class WeakFeedback(Board):
    def program(self, couplings: Couplings) -> Programmed | None:
        told = super().program(couplings)
        for block in couplings.blocks:
            self.J[np.ix_(block.rows, block.columns)] *= 0.7
        return told


class TellsTooMuch(Board):
    """Says that couplings at the end of the range are three times as large."""

    def program(self, couplings: Couplings) -> Programmed | None:
        super().program(couplings)
        blocks = (*couplings.blocks, *couplings.inputs)
        return Programmed(effective=tuple(np.where(block.values > 0.95, 3.0, block.values) for block in blocks))


class HasFewerUnits(Board):
    """The last units of the second column are not there: they stay where they are."""

    def hold(self, s: Array, drive: Drive) -> Array:
        s = s.copy()
        s[:, 20 + REAL :] = 0.0
        return super().hold(s, drive)


class IgnoresBias(Board):
    def field(self, drive: Drive) -> Array:
        assert drive.inputs is not None
        return 0.5 + drive.inputs @ self.W.T


class RollsInputs(Board):
    def field(self, drive: Drive) -> Array:
        assert drive.inputs is not None
        return drive.field + np.roll(drive.inputs, 1, axis=1) @ self.W.T


class NudgesAway(Board):
    def field(self, drive: Drive) -> Array:
        return drive.field if drive.nudge is None else drive.field - 2 * drive.nudge

    def curvature(self, drive: Drive) -> Array:
        return -super().curvature(drive)


class NudgesOneWay(Board):
    """A negative nudge is no nudge."""

    def field(self, drive: Drive) -> Array:
        if drive.nudge is None or drive.curvature is None:
            return drive.field
        return drive.field - np.where(drive.curvature < 0, drive.nudge, 0.0)

    def curvature(self, drive: Drive) -> Array:
        return np.maximum(super().curvature(drive), 0.0)


class NudgesAllAlike(Board):
    """All samples of a batch get the sign of the first one."""

    def field(self, drive: Drive) -> Array:
        if drive.nudge is None:
            return drive.field
        return drive.field + (self._turned(drive) - 1.0) * drive.nudge

    def curvature(self, drive: Drive) -> Array:
        return self._turned(drive) * super().curvature(drive)

    def _turned(self, drive: Drive) -> Array:
        assert drive.curvature is not None
        signs = np.sign(drive.curvature.sum(1, keepdims=True))
        turned: Array = signs * signs[0]
        return turned


class FreezesHidden(Board):
    """Nothing but outputs moves in a nudged phase."""

    def hold(self, s: Array, drive: Drive) -> Array:
        if drive.nudge is not None:
            frozen = np.ones(s.shape[1], dtype=bool)
            frozen[self.couplings.outputs] = False
            s = np.where(frozen, self.start(drive), s)
        return super().hold(s, drive)


class HoldsNothing(Board):
    def hold(self, s: Array, drive: Drive) -> Array:
        return s


class NeverResets(Board):
    def start(self, drive: Drive) -> Array:
        known = isinstance(drive.start, str) and len(self.stands) == drive.batch
        return self.stands if known else super().start(drive)


class AlwaysResets(Board):
    def start(self, drive: Drive) -> Array:
        return np.zeros_like(drive.field) if isinstance(drive.start, str) else drive.start


class IgnoresStates(Board):
    def start(self, drive: Drive) -> Array:
        return super().start(drive) if isinstance(drive.start, str) else np.zeros_like(drive.field)


class Leaks(Board):
    def read(self, s: Array) -> Array:
        return super().read(s + 0.05 * (np.roll(s, 1, axis=0) - s))


class RepeatsHalf(Board):
    """Of a full batch it settles the first half twice."""

    def read(self, s: Array) -> Array:
        half = len(s) // 2
        return super().read(np.concatenate([s[:half], s[:half]]) if len(s) == self.said.max_batch else s)


class TurnsResult(Board):
    def read(self, s: Array) -> Array:
        return super().read(s).T


class LacksLevel(Board):
    """The level in the middle never comes."""

    def read(self, s: Array) -> Array:
        codes = super().read(s)
        return np.where(codes == 127, 128, codes)


class HasLevelsBetween(Board):
    def read(self, s: Array) -> Array:
        low, high = self.couplings.lowest, self.couplings.highest
        return low + (high - low) * self.codes(s, 9) / 511


class Noisy(Board):
    def read(self, s: Array) -> Array:
        return super().read(s + 0.02 * self.rng.standard_normal(s.shape))


class Quiet(Board):
    def read(self, s: Array) -> Array:
        return s.copy()


class Drifts(Board):
    """Every other time it reads a little more."""

    turn = 0

    def read(self, s: Array) -> Array:
        self.turn += 1
        return super().read(s + 0.006 * (self.turn % 2))


class Remembers(Board):
    """Its noise goes on where a checkpoint left it."""

    def state(self) -> bytes:
        return repr(self.rng.bit_generator.state).encode()

    def restore(self, state: bytes) -> None:
        self.rng.bit_generator.state = eval(state)


class ForgetsNoise(Remembers):
    def restore(self, state: bytes) -> None:
        pass


class CloseRaises(Board):
    """After an error it cannot be closed."""

    failed = False

    def settle(self, drive: Drive, deadline: float) -> Any:
        self.failed = True
        readout = super().settle(drive, deadline)
        self.failed = False
        return readout

    def close(self) -> None:
        if self.failed:
            raise OSError("the port is stuck")


class Hangs(Board):
    def settle(self, drive: Drive, deadline: float) -> Any:
        time.sleep(60)


class StaysLocked(Board):
    """A process that is ended leaves a lock behind."""

    def __init__(self, backend: "Made") -> None:
        super().__init__(backend)
        self.lock = Path(backend.lock)
        if self.lock.exists():
            raise OSError("somebody else has the board")
        self.lock.touch()

    def close(self) -> None:
        self.lock.unlink()


@configurable
class Made(DeviceBackend):
    """A board of one of the classes above."""

    boards: ClassVar[Mapping[str, type[Board]]] = {
        cls.__name__: cls for cls in list(globals().values()) if isinstance(cls, type) and issubclass(cls, Board)
    }
    board: str = option(default="Board", help="which one")
    analog: bool = option(default=False, help="with noise, and no levels")
    fields: bool = option(default=True, help="it gets the product with the input")
    lock: str = option(default="", help="file that says that it is taken")
    isolated: bool = option(default=False, help="in a process of its own")

    def capabilities(self) -> Capabilities:
        said = ANALOG if self.analog else DIGITAL
        return said if self.fields else attrs.evolve(said, inputs="units", input_lines=12)

    def connect(self) -> Device:
        return self.boards[self.board](self)


@configurable
class Declares(Made):
    """A sound board that declares something else."""

    said: str = option(default="", help="which")

    def capabilities(self) -> Capabilities:
        return attrs.evolve(DIGITAL, **CHANGES[self.said])


CHANGES: Mapping[str, Mapping[str, Any]] = {
    "a chain that nudges with a current": {"topology": "chain", "nudge": "current", "clamp": "layers"},
    "units at will, no clamp": {
        "topology": "any",
        "units": None,
        "clamp": "none",
        "starts": ("reset",),
        "max_batch": None,
    },
    "three columns": {"topology": "chain", "units": {"A": 9, "B": 7, "C": 3}, "stacks_phases": False},
    "no nudge": {"nudge": "none"},
    "states in other units": {"ranges": {"hidden": (-0.5, 1.5), "output": (-0.5, 1.5)}},
    "few bits": {"readout_bits": 6, "weight_bits": 6, "field_bits": 10},
    "narrow fields": {"field_range": (-0.4, 0.4)},
    "couplings without 0": {"weight_range": (0.1, 1.0)},
    "more at once than in a batch": {"at_once": 32},
    "codes of nothing": {"ranges": {}},
}


@configurable
class Emulated(Made):
    """A chip of any capabilities, whose couplings are off by a share that it has from its seed."""

    mismatch: float = option(default=0.0, help="share of the coupling")
    seed: int = option(default=0, help="which chip")

    def capabilities(self) -> Capabilities:
        return DIGITAL if self.probed is None else DeviceBackend.capabilities(self)

    def connect(self) -> Device:
        return Mismatched(self)


class Mismatched(Board):
    def program(self, couplings: Couplings) -> Programmed | None:
        told = super().program(couplings)
        backend: Any = self.backend
        drawn = np.random.default_rng(backend.seed).standard_normal(self.J.shape)
        self.J = self.J * (1 + backend.mismatch * (drawn + drawn.T) / 2**0.5)
        return told


@configurable
class Probed(Made):
    """The real board has a unit less than is declared for it."""

    def probe(self) -> Capabilities:
        return attrs.evolve(DIGITAL, units={"A": 19, "B": 12}, serial="7")


@configurable
class Lenient(Made):
    """Refuses nothing that is said in these words."""

    word: str = option(default="units", help="which")

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        return [one for one in super().check(setup) if self.word not in one.what]


@configurable
class OwnSession(Made):
    """Opens a session of its own, which changes what it should leave alone."""

    way: str = option(default="start", help="what it changes")

    def capabilities(self) -> Capabilities:
        return attrs.evolve(DIGITAL, nudge="none") if self.way == "nudge" else DIGITAL

    def open(self, network: Any, energy: Any, relaxer: Any, *, device: Any, dtype: Any) -> Any:
        from own_session import Changed

        return Changed(network, energy, relaxer, self)
