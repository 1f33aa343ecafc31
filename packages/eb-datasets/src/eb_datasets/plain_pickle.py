"""Pickles of plain arrays, read without running anything that is in them.

A pickle is a program: it may name any function and call it. Here nothing that it names is ever imported. The few
names that an array of bytes needs stand for inert records of this module; every other name ends the reading.
"""

import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray


class PickledArray:
    """An array of unsigned bytes, as the pickle describes it."""

    __slots__ = ("values",)

    def __init__(self, values: NDArray[np.uint8]) -> None:
        self.values = values

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, columns_first, content = state
        self.values = _bytes_as_array(content, dtype, shape, "F" if columns_first else "C")


class _UnsignedByte:
    """The one element type that is admitted; its state says nothing more about it."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Byte order, fields and alignment: none of them matters to bytes."""


class _Name:
    """An admitted name. A pickle may call it; it cannot set attributes on it."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it sets attributes where only arrays have any")


def _bytes_as_array(content: Any, dtype: Any, shape: Any, order: Any) -> NDArray[np.uint8]:
    if not (isinstance(dtype, _UnsignedByte) and isinstance(content, bytes | bytearray)):
        raise pickle.UnpicklingError("an array of something else than unsigned bytes")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if order == "F" else "C")


def _empty_array(*_: Any) -> PickledArray:
    return PickledArray(np.empty(0, np.uint8))


def _array_of_bytes(content: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    return PickledArray(_bytes_as_array(content, dtype, shape, order))


def _element_type(code: Any, *_: Any) -> _UnsignedByte:
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"an array of type {code!r}, expected are unsigned bytes")
    return _UnsignedByte()


def _no_call(*_: Any) -> Any:
    raise pickle.UnpicklingError("it makes an array in a way of its own")


_RECONSTRUCT, _FROM_BUFFER = _Name(_empty_array), _Name(_array_of_bytes)
_ADMITTED: Final[Mapping[tuple[str, str], _Name]] = {
    ("numpy", "ndarray"): _Name(_no_call),
    ("numpy", "dtype"): _Name(_element_type),
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,  # numpy 1
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # numpy 2
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,  # the same with pickle protocol 5
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array of pixels needs")
        return _ADMITTED[module, name]


def load_plain(stream: BinaryIO) -> Any:
    """What a pickle describes, of dict, list, tuple, str, bytes, numbers and `PickledArray` only.

    Text that Python 2 wrote comes back as bytes.

    Raises:
        ValueError: it needs anything else, or is no pickle, or is cut short.
    """
    try:
        return _PlainUnpickler(stream, encoding="bytes").load()
    except MemoryError:
        raise ValueError("it takes far more memory than a file of this size should") from None
    except Exception as error:  # noqa: BLE001 - a damaged pickle fails in any way it likes
        raise ValueError(f"not read, as it is no pickle of plain arrays: {error}") from None
