"""Random numbers of a chip: what is frozen in it, and what is drawn anew each time.

frozen(seed, name): the same numbers whenever this name is asked for;   Streams: generators that go on
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch

from eb_core.device.contract import Array

FRESH: Final = ("noise", "faults")
"""What is drawn from a generator of its own: noise of couplings and read-out, and when a call fails."""


def frozen(seed: int, name: str) -> torch.Generator:
    """A generator at the beginning of the numbers of this name."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest) >> 1)


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Array:
    """Standard normal numbers, float64."""
    drawn: Array = torch.randn(shape, generator=generator, dtype=torch.float64).numpy()
    return drawn


class Streams:
    """Generators that a chip draws from while it works.

    Attributes:
        noise, faults: see `FRESH`.
        dynamics: of the noise of the relaxer, on the device of the states.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.noise, self.faults = (frozen(seed, name) for name in FRESH)
        first = frozen(seed, "dynamics").initial_seed()
        self.dynamics = torch.Generator(device).manual_seed(first)

    def state(self) -> dict[str, Array]:
        """Where they stand, by name."""
        named = {name: getattr(self, name) for name in (*FRESH, "dynamics")}
        return {f"stream.{name}": generator.get_state().numpy() for name, generator in named.items()}

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what `state` gave."""
        for name in (*FRESH, "dynamics"):
            getattr(self, name).set_state(torch.from_numpy(np.array(arrays[f"stream.{name}"])))
