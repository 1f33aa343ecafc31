"""The couplers of a chip: what they were asked to hold, what they hold, and what acts on the units.

    held      <- held + rounded(asked - held)                      update_bits, else asked
    acting     = (held (1 + mismatch xi) + parameter_noise eta) (1 + drift w)
    feedback   = acting (1 + asymmetry zeta)

xi and zeta are frozen in the chip, eta is drawn at every programming, and w takes one normal step at every settle.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eb_backend_emulator.streams import Streams, frozen, normal
from eb_core.device.contract import Array, Block
from eb_core.device.levels import fitted

if TYPE_CHECKING:
    from eb_backend_emulator.emulator import Emulator

KEPT = ("asked", "held", "noise", "walk")
"""What of a block a checkpoint keeps."""


class Couplers:
    """All couplers of one chip, block by block.

    Args:
        emulator: whose options say how bad they are.
        streams: where noise comes from.
        width: of the range of a coupling, which an update of few bits divides; None without one.
    """

    def __init__(self, emulator: "Emulator", streams: Streams, width: float | None) -> None:
        self._emulator, self._streams, self._width = emulator, streams, width
        self._names: list[str] = []
        self._values: dict[str, list[Array]] = {}
        self._drawn: dict[tuple[str, str], Array] = {}
        self._is_restored = False

    def program(self, blocks: Sequence[Block]) -> None:
        """Hold new couplings, or what comes nearest. What was restored from a checkpoint is held already."""
        asked = [np.array(block.values, dtype=np.float64) for block in blocks]
        before, self._names = self._values, [block.name for block in blocks]
        was_restored, self._is_restored = self._is_restored, False
        if was_restored and all(np.array_equal(a, b) for a, b in zip(asked, before["asked"], strict=True)):
            return
        held = [self._changed(a, b) for a, b in zip(before["held"], asked, strict=True)] if before else asked
        noise, share = [np.zeros_like(values) for values in asked], self._emulator.parameter_noise
        if share:
            noise = [share * normal(values.shape, self._streams.noise) for values in asked]
        walk = before["walk"] if before else [np.zeros_like(values) for values in asked]
        self._values = {"asked": asked, "held": held, "noise": noise, "walk": walk}

    def _changed(self, held: Array, asked: Array) -> Array:
        bits, width = self._emulator.update_bits, self._width
        if bits is None or width is None:
            return asked
        return held + fitted(asked - held, (-width / 2, width / 2), bits)[0]

    def age(self) -> None:
        """One step of the random walk of their gains."""
        drift = self._emulator.drift
        self._values["walk"] = [walk + drift * normal(walk.shape, self._streams.noise) for walk in self._values["walk"]]

    @property
    def held(self) -> tuple[Array, ...]:
        """What their memory holds, block by block."""
        return tuple(self._values["held"])

    def acting(self) -> list[tuple[Array, Array]]:
        """What acts on the units, block by block: from columns to rows, and back."""
        return [self._of(k, name) for k, name in enumerate(self._names)]

    def _of(self, k: int, name: str) -> tuple[Array, Array]:
        held, noise, walk = (self._values[part][k] for part in ("held", "noise", "walk"))
        forth = (held * (1 + self._frozen("mismatch", name, held)) + noise) * (1 + walk)
        return forth, forth * (1 + self._frozen("asymmetry", name, held))

    def _frozen(self, option: str, name: str, like: Array) -> Array | float:
        """What of an option is the same in every call, (P, Q) as `like`."""
        spread: float = getattr(self._emulator, option)
        if not spread:
            return 0.0
        if (option, name) not in self._drawn:
            self._drawn[option, name] = normal(like.shape, frozen(self._emulator.seed, f"{option} {name}"))
        return spread * self._drawn[option, name]

    def state(self) -> dict[str, Array]:
        """Everything that is not frozen, by name."""
        kept = {part: self._values.get(part, []) for part in KEPT}
        return {f"{part}.{k}": values for part, blocks in kept.items() for k, values in enumerate(blocks)}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Hold what `state` gave."""
        count = sum(name.startswith("asked.") for name in arrays)
        self._values = {part: [np.array(arrays[f"{part}.{k}"]) for k in range(count)] for part in KEPT} if count else {}
        self._is_restored = count > 0
