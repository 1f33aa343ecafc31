"""Random numbers come from (seed, stream, epoch, batch), never from a global generator.

So a run does not depend on what drew numbers before it, and resuming needs no generator state.
"""

from typing import Final, Literal

import numpy as np
import torch

Stream = Literal["init", "split", "shuffle", "settle", "augment"]
_NUMBERS: Final[dict[Stream, int]] = {"init": 0, "split": 1, "shuffle": 2, "settle": 3, "augment": 4}


def stream(
    seed: int, name: Stream, epoch: int = 0, batch: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """An independent generator for this place in a run, on `device`."""
    words = np.random.SeedSequence(seed, spawn_key=(_NUMBERS[name], epoch, batch)).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(words[0]) << 32 | int(words[1]))
