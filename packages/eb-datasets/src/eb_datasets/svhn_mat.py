"""SVHN as published: two MATLAB files {X: (32, 32, 3, N) bytes, y: (N, 1)}, one for training, one for testing.

X[i, j, c, n] is row i, column j and channel c of image n. Labels go from 1 to 10, and 10 stands for the digit 0.
Files are read in a process of their own: SciPy's reader crashes on some damaged ones.

References: Y. Netzer et al., "Reading digits in natural images with unsupervised feature learning" (2011).
"""

from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

SHAPE: Final = (32, 32, 3)
CLASSES: Final = 10


def read_mat(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """What `parse_mat` makes of a file."""
    with path.open("rb") as stream:
        return parse_mat(stream)


def parse_mat(stream: BinaryIO) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (N, 3, 32, 32), contiguous in memory, and their labels (N,) from 0 to 9.

    Raises:
        ValueError: no MATLAB file, or without such images and a label from 1 to 10 for each.
    """
    content = _content(stream)
    missing = [name for name in ("X", "y") if name not in content]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    x, y = content["X"], content["y"]
    plain = all(isinstance(array, np.ndarray) for array in (x, y))
    if not plain or x.dtype != np.uint8 or y.dtype.kind not in "iuf":
        raise ValueError("its X is no array of bytes, or its y none of numbers")
    if x.ndim != 1 + len(SHAPE) or x.shape[:-1] != SHAPE or x.size == 0:
        raise ValueError(f"its X has the shape {x.shape}, expected is (32, 32, 3, N)")
    if y.shape != (x.shape[-1], 1):
        raise ValueError(f"its y has the shape {y.shape}, expected is ({x.shape[-1]}, 1), a label for each image")
    if not np.isin(y, np.arange(1, CLASSES + 1)).all():
        raise ValueError(f"its labels are not all whole numbers from 1 to {CLASSES}")
    return np.ascontiguousarray(x.transpose(3, 2, 0, 1)), y[:, 0].astype(np.int64) % CLASSES


def _content(stream: BinaryIO) -> dict[str, Any]:
    from scipy.io import loadmat  # type: ignore[import-untyped]

    try:
        content: dict[str, Any] = loadmat(stream, variable_names=("X", "y"))
    except MemoryError:
        raise ValueError("it takes far more memory than a file of this size should") from None
    except Exception as error:  # noqa: BLE001 - a damaged file fails in any way it likes
        raise ValueError(f"not read, as it is no whole MATLAB file of version 5 to 7.2: {error}") from None
    return content
