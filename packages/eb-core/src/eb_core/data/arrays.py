"""Tensors of what a user hands over: tensors, arrays, nested lists, tables; or one error that says what is wrong."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eb_core.registry import UsageError

WORDS = {"S": "text", "U": "text", "M": "dates", "m": "time spans", "V": "records", "c": "complex numbers"}
"""What numpy's kinds of elements are that are no real numbers."""


def tensor_of(values: Any, name: str, origin: str) -> Tensor:
    """Real numbers as a dense tensor on the CPU, without history; copied only where its memory cannot be shared.

    Numbers in plain lists get torch's default precision, like those that torch makes tensors of. Types that torch can
    hold but not calculate with become wider ones that it can.

    Args:
        values: a tensor, an array, or lists of numbers or tensors.
        name: what the error calls them.
        origin: where the error says that they come from.

    Raises:
        UsageError: not an array, ragged, masked, on no device, or of something else than real numbers.
    """
    try:
        if isinstance(values, list | tuple) and values and all(isinstance(row, Tensor) for row in values):
            values = torch.stack(tuple(values))
        if isinstance(values, Tensor):
            return _plain(values)
        tensor = torch.from_numpy(_real(values))
        return tensor.to(torch.get_default_dtype()) if _of_python(values) and tensor.is_floating_point() else tensor
    except Exception as error:  # noqa: BLE001 - somebody's own type fails in any way it likes
        raise UsageError(
            f"{name} is no array of real numbers: {str(error)[:200]}",
            origin=origin,
            advice="give a tensor, a numpy array or a list of rows of the same length; for names of classes their "
            "numbers: numpy.unique(names, return_inverse=True)[1]",
        ) from None


def _plain(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        raise ValueError(f"it holds {WORDS['c']}")
    tensor = tensor.detach().cpu()
    tensor = tensor.dequantize() if tensor.is_quantized else tensor.to_dense().resolve_neg()
    if tensor.is_floating_point() and tensor.element_size() == 1:
        return tensor.float()
    if tensor.dtype in (torch.uint16, torch.uint32, torch.uint64):
        return torch.from_numpy(_signed(tensor.numpy()))
    return tensor


def _real(values: Any) -> NDArray[Any]:
    """Values as an array that torch can share: of real numbers, this machine's byte order, contiguous, writable."""
    if np.ma.is_masked(values):
        raise ValueError("it is masked, and a masked value is none")
    array = np.asarray(values)
    if array.dtype.kind == "O":
        array = np.asarray(array.tolist())
    if array.dtype.kind == "O":
        raise ValueError(f"it is a {type(values).__name__} of objects" if array.ndim else f"a {type(values).__name__}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"it holds {WORDS.get(array.dtype.kind, array.dtype)}")
    if array.dtype.kind == "u" and array.itemsize > 1:
        array = _signed(array)
    if array.dtype.kind == "f" and array.itemsize > 8:
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array if array.flags.c_contiguous and array.flags.writeable else array.copy(order="C")


def _of_python(values: Any) -> bool:
    """Whether these are Python's own numbers in lists, which have no precision of their own."""
    while isinstance(values, list | tuple) and values:
        values = values[0]
    return type(values) in (bool, int, float)


def _signed(array: NDArray[Any]) -> NDArray[Any]:
    """Unsigned numbers in the next wider signed type."""
    if array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"it holds {array.max()}, and whole numbers end at 2^63 - 1")
    return array.astype(np.int32 if array.itemsize == 2 else np.int64)
