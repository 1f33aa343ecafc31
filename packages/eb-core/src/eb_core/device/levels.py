"""Ranges and levels of a device: how a number becomes one that the device can hold.

    x -> lo + step round((clip(x) - lo) / step),   step = (hi - lo) / 2^bits

with 2^bits levels lo … hi - step, so that 0 is one of them where the range is symmetric, as in two's complement. Levels
of a read-out include both ends; on a circle, where the ends are one, they do not.
"""

import math
from collections.abc import Sequence

import numpy as np

from eb_core.device.contract import Array

Range = Sequence[float] | None


def step_of(ends: Sequence[float], bits: int) -> float:
    """Distance of two of 2^bits levels of couplings or fields."""
    levels: int = 2**bits
    return (ends[1] - ends[0]) / levels


def fitted(values: Array, ends: Range, bits: int | None) -> tuple[Array, int]:
    """The nearest numbers that the device can hold, and how many lay outside its range.

    A number that is above the highest level by less than a step is not outside: it is rounded.
    """
    if ends is None:
        return values.copy(), 0  # what goes to a device is the device's, who may write on it
    low, high = ends
    outside = int(np.count_nonzero((values < low) | (values > high)))
    if bits is None:
        return np.clip(values, low, high), outside
    step = step_of(ends, bits)
    return low + step * np.clip(np.rint((values - low) / step), 0, 2**bits - 1), outside


def _read_out(ends: Sequence[float], bits: int, is_circle: bool) -> tuple[float, float]:
    """State of code 0, and distance of two codes."""
    return (0.0, math.tau / 2**bits) if is_circle else (ends[0], (ends[1] - ends[0]) / (2**bits - 1))


def decoded(codes: Array, ends: Sequence[float], bits: int, is_circle: bool) -> Array:
    """States of codes 0 … 2^bits - 1."""
    low, step = _read_out(ends, bits, is_circle)
    states: Array = low + codes * step
    return states


def encoded(values: Array, ends: Sequence[float], bits: int, is_circle: bool) -> Array:
    """The nearest codes, int64."""
    low, step = _read_out(ends, bits, is_circle)
    steps = np.rint((values - low) / step)
    codes: Array = (steps % 2**bits if is_circle else np.clip(steps, 0, 2**bits - 1)).astype(np.int64)
    return codes
