"""How a check says what is wrong, and that nothing touched the global random state."""

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor

from eb_core.diagnostics.measure import Finding
from eb_core.testing.report import SkippedError


class ConformanceError(AssertionError):
    """A component breaks a promise of its contract; the message says which one, where and by how much."""


_ASKED: ContextVar[list[str] | None] = ContextVar("asked", default=None)


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """Every promise that `require` is asked for in the block, in order."""
    asked: list[str] = []
    token = _ASKED.set(asked)
    try:
        yield asked
    finally:
        _ASKED.reset(token)


def require(holds: bool, promise: str, where: str) -> None:
    """Raise unless the promise holds."""
    asked = _ASKED.get()
    if asked is not None:
        asked.append(promise)
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


def require_findings(findings: Sequence[Finding]) -> None:
    """Raise unless every figure that was judged is as promised.

    Raises:
        ConformanceError: one is not.
        SkippedError: none was judged; the reason is the first finding.
    """
    judged = [one for one in findings if one.holds is not None]
    if not judged:
        raise SkippedError(findings[0].what if findings else "no net fits")
    for one in judged:
        expected = f", expected {one.expected}" if one.expected else ""
        require(bool(one.holds), f"{one.what} {one.value:.3g}{expected}", one.net)
