"""A board that trains: it draws noise of its own, can say where its stream stands, and calibrates itself."""

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from eb_core.device import Capabilities, Couplings, Device, DeviceBackend, Drive, Programmed, Readout, option
from eb_core.registry import configurable

OUTPUTS = 5


class NoisyBoard(Device):
    """Quadratic units in [0, 1], those from `OUTPUTS` on without walls; noise in what is programmed and read."""

    def __init__(self, noise: float, forgets: bool) -> None:
        self.noise, self.forgets = noise, forgets
        self.random = np.random.default_rng(5)
        self.couplings = self.s = np.zeros((0, 0))

    def calibrate(self) -> Mapping[str, float]:
        return {"worst unit": np.float32(0.25), "units": 7}

    def program(self, couplings: Couplings) -> Programmed | None:
        matrix = couplings.dense()
        self.couplings = matrix * (1 + self.noise * self.random.standard_normal(matrix.shape))
        return None

    def settle(self, drive: Drive, deadline: float) -> Readout:
        s = np.zeros_like(drive.field) if drive.start == "reset" else self.s
        bend = 1.0 if drive.curvature is None else 1.0 + drive.curvature
        wall = np.where(np.arange(s.shape[1]) < OUTPUTS, 1.0, np.inf)
        for _ in range(60):
            s = s + 0.5 * (np.clip((s @ self.couplings + drive.field) / bend, np.where(wall == 1, 0, -wall), wall) - s)
        self.s = s
        return Readout(s + self.noise * self.random.random(s.shape) * (s > 0) * (s < 0.5))

    def close(self) -> None:
        pass

    def state(self) -> bytes | None:
        return None if self.forgets else pickle.dumps((self.random, self.couplings))

    def restore(self, state: bytes) -> None:
        self.random, self.couplings = pickle.loads(state)


@configurable
class Chip(DeviceBackend):
    """A chip for tests: small, quick, noisy, and with a serial number."""

    isolated: bool = option(default=False, help="in a process of its own")
    noise: float = option(default=0.0, help="of couplings and of reads", ge=0)
    forgets: bool = option(default=False, help="whether it cannot say where its noise stands")
    columns: int = option(default=8, help="units", ge=1)

    def capabilities(self) -> Capabilities:
        if self.probed is not None:
            return super().capabilities()
        return Capabilities(
            unit="cell",
            units={"A": self.columns},
            weight_range=(-4.0, 4.0),
            max_batch=6,
            starts=("reset", "last"),
            settle_seconds=0.002,
            at_once=3,
            program_seconds=0.01,
            watts=2.0,
            serial="B7",
        )

    def probe(self) -> Capabilities:
        said: Any = self.capabilities()
        return type(said)(unit="cell", units={"A": 5}, readout_noise=0.125, serial="B7-measured")

    def connect(self) -> Device:
        return NoisyBoard(self.noise, self.forgets)
