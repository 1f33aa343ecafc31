"""How a check says what is wrong, and that nothing touched the global random state."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


class ConformanceError(AssertionError):
    """A component breaks a promise of its contract; the message says which one, where and by how much."""


def require(holds: bool, promise: str, where: str) -> None:
    """Raise unless the promise holds."""
    if not holds:
        raise ConformanceError(f"{promise}  [{where}]")


def require_close(got: Tensor, expected: Tensor, promise: str, where: str, tolerance: float = 1e-10) -> None:
    """Raise unless two tensors agree to `tolerance` relative to the larger one's scale (at least 1)."""
    require(got.shape == expected.shape, f"{promise}: shape {tuple(got.shape)}, not {tuple(expected.shape)}", where)
    got, expected = got.detach(), expected.detach()
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    difference = float((got - expected).abs().max()) if expected.numel() else 0.0
    require(difference <= tolerance * scale, f"{promise}: off by {difference:.2e}", where)


@contextlib.contextmanager
def global_random_state_untouched(where: str) -> Iterator[None]:
    """Raise if the block moves torch's or numpy's global generator."""
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)
    yield
    same_torch = torch.equal(torch_before, torch.get_rng_state())
    numpy_after = np.random.get_state(legacy=False)
    same_numpy = str(numpy_before) == str(numpy_after)
    require(same_torch and same_numpy, "the global random state is left alone", where)
