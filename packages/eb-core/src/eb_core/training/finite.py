"""Whether numbers are finite: what is not is never saved, selected or loaded."""

from collections.abc import Iterable

import torch
from torch import Tensor


def all_finite(values: Iterable[Tensor]) -> bool:
    """Whether no number in `values` is nan or infinite."""
    return all(bool(torch.isfinite(value).all()) for value in values)
