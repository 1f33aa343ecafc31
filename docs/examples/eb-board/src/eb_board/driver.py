"""What the manufacturer ships: here a simulation of the board, in your package the real thing."""

import numpy as np


class Connection:
    """A board of 256 units that settle by themselves; some have amplifiers without walls."""

    def __init__(self, port: str) -> None:
        self.port, self.noise = port, np.random.default_rng(0)
        self.volts = np.zeros((0, 256))

    def load(self, codes: np.ndarray, open_units: np.ndarray) -> None:
        """Couplings as codes -128 ... 127; open units go from -2 to 2 V, all others from 0 to 0.8 V."""
        self.couplings = codes / 128
        self.low, self.high, self.gain = np.zeros(256), np.full(256, 0.8), np.full(256, 0.8)
        self.low[open_units], self.high[open_units], self.gain[open_units] = -2.0, 2.0, 1.0

    def run(self, currents: np.ndarray, conductances: np.ndarray | None, keep: bool) -> np.ndarray:
        """Volts of all units 2 ms later, from where they are or from 0 V."""
        volts = self.volts if keep else np.zeros_like(currents)
        load = 1.0 if conductances is None else 1.0 + conductances
        for _ in range(60):
            aim = self.gain * ((volts / self.gain) @ self.couplings + currents) / load
            volts = volts + 0.5 * (np.clip(aim, self.low, self.high) - volts)
        self.volts = volts
        return volts + self.noise.normal(0.0, 0.002 * (self.high - self.low), volts.shape)

    def release(self) -> None:
        """Let others use the board."""
