"""What a phase is given: input, target, strength of the nudge, clamps. Each is checked where the phase is derived.

Shapes are looked at always, values on the CPU only: elsewhere a look would wait for the device.
"""

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from eb_core.registry import UsageError


def check_tensor(what: str, value: Any, shape: tuple[int, ...], like: Tensor) -> None:
    """Refuse what is no finite tensor of this shape, in the precision and on the device of `like`.

    Raises:
        UsageError: it names `what`.
    """
    if not isinstance(value, Tensor):
        raise UsageError(f"{what} is a {type(value).__name__}", advice=f"give a tensor of shape {shape}")
    if value.shape != shape:
        raise UsageError(f"{what} of shape {tuple(value.shape)}, expected is {shape}", advice="give one row per sample")
    for own, other in ((value.dtype, like.dtype), (value.device, like.device)):
        if own != other:
            raise UsageError(f"{what} in {own}, network in {other}", advice="convert one of them: tensor.to(…)")
    if value.device.type == "cpu" and not math.isfinite(value.detach().sum()):
        _check_finite(what, value)


def _check_finite(what: str, value: Tensor) -> None:
    """A sum of finite numbers may be infinite, so it is only a first look."""
    bad = ~torch.isfinite(value.detach())
    if bool(bad.any()):
        place = bad.nonzero()[0]
        raise UsageError(
            f"{what} holds {int(bad.sum())} values that are not finite; the first is {float(value[tuple(place)])}"
            f" in sample {int(place[0])}",
            advice="scale it, or look for what has overflowed",
        )


def check_strength(beta: Any, batch: int, like: Tensor) -> None:
    """Refuse a beta that is no finite number, or no tensor with one for each sample; and one that `like` cannot hold.

    Raises:
        UsageError: it says which.
    """
    if isinstance(beta, Tensor):
        check_tensor("beta", beta, (batch,), like)
        return
    try:
        strength = float(beta) if isinstance(beta, Real) else math.nan
    except OverflowError:
        strength = math.inf
    if not math.isfinite(strength):
        raise UsageError(
            f"beta = {beta!r} is no finite number", advice="give a number, or a tensor with one per sample"
        )
    limits = torch.finfo(like.dtype)
    if strength and not limits.tiny <= abs(strength) <= limits.max:
        raise UsageError(
            f"beta = {strength:g} is beyond what {like.dtype} can hold", advice="take a beta between 1e-6 and 1"
        )


def check_clamp(layer: str, values: Any, mask: Any, shape: tuple[int, ...], like: Tensor) -> None:
    """Refuse values that the units of a layer, of `shape` with the batch, cannot be held at, and a mask that is none.

    Raises:
        UsageError: it names the layer.
    """
    check_tensor(f"the clamp of layer '{layer}'", values, shape, like)
    if mask is None:
        return
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.device != like.device:
        form = f"{mask.dtype} on {mask.device}" if isinstance(mask, Tensor) else type(mask).__name__
        raise UsageError(f"the mask of layer '{layer}' is {form}", advice=f"give a tensor of bool on {like.device}")
    fits = mask.ndim == len(shape) and all(own in (1, size) for own, size in zip(mask.shape, shape, strict=True))
    if not fits:
        raise UsageError(
            f"the mask of layer '{layer}' has the shape {tuple(mask.shape)}, expected is {shape}, or 1 in any place",
            advice="give the batch axis too: mask.unsqueeze(0) holds the same units in every sample",
        )
