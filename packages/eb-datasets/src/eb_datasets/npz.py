"""Your own arrays in a NumPy file: x_train (N, *shape), y_train (N,), and if there are any x_test, y_test.

Such a file is written with `numpy.savez("mine.npz", x_train=…, y_train=…)`. It is a zip archive with a file of the
format NPY for each array: a header with type and shape, then the values. What an array declares is compared with what
its file holds, and with the memory there is, before it is read.
"""

import math
import zipfile
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eb_core import Data, Dataset, configurable, option
from eb_datasets.files import reading
from eb_datasets.folders import own_file
from eb_datasets.limits import afford

NAMES: Final = ("x_train", "y_train", "x_test", "y_test")
DENSEST: Final = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
"""Bytes that one byte in an archive can stand for, at most, by the method it is packed with."""


@configurable
class Npz(Dataset):
    """Arrays of a .npz file; pickled objects in it are refused."""

    file: str = option(help="path of the .npz file; a relative one starts at --data-dir or here")
    divide_by: float = option(default=1.0, help="divide all samples by this; 255 for 8-bit pixels", gt=0, prepares=True)
    classes: int | None = option(
        default=None, help="number of classes; none means the largest training label plus one", ge=1
    )

    def load(self, data_dir: Path | None = None) -> Data:
        path = own_file(self.file, data_dir)
        advice = (
            "numpy.savez(file, x_train=…, y_train=…), and x_test=… with y_test=… if there are test samples; "
            "x are numbers and y whole numbers, never objects"
        )
        with reading(path, ".npz file of a data set", advice):
            arrays = _arrays(path)
            with np.errstate(all="ignore"):  # what is not finite is refused after that
                for name in arrays.keys() & {"x_train", "x_test"}:
                    arrays[name] = _float(arrays[name]) / self.divide_by
        test = (arrays["x_test"], arrays["y_test"]) if "x_test" in arrays else None
        return Data.from_arrays(arrays["x_train"], arrays["y_train"], test=test, classes=self.classes, name=path.name)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a data set, by name."""
    with path.open("rb") as stream:
        single = stream.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX
    if single:
        raise ValueError("a single array, without names")
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename.removesuffix(".npy"), info) for info in archive.infolist()]
        known = {name: info for wanted in NAMES for name, info in members if name == wanted}
        if not known.keys() >= {"x_train", "y_train"} or len(known) == 3:
            raise ValueError(f"it holds {', '.join(sorted(name for name, _ in members)) or 'nothing'}")
        for name in known:
            if sum(name == other for other, _ in members) > 1:
                raise ValueError(f"it holds {name} more than once")
        for name, info in known.items():
            with archive.open(info) as member:
                _judge(name, member, info)
        arrays = {}
        for name, info in known.items():
            with archive.open(info) as member:
                arrays[name] = npy.read_array(member, allow_pickle=False)
        return arrays


def _judge(name: str, member: IO[bytes], info: zipfile.ZipInfo) -> None:
    """Read the header of an array and nothing else.

    Raises:
        ValueError: it declares another type, or more or less than its file holds, or more than there is memory for.
    """
    try:
        header = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(member)
    except Exception as error:  # noqa: BLE001 - a damaged header fails in any way it likes
        raise ValueError(f"{name} is no array: {error}") from None
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects, which are never unpickled (allow_pickle=False)")
    samples = name.startswith("x")
    if dtype.kind not in ("biuf" if samples else "iu"):
        raise ValueError(f"{name} has the type {dtype}, expected are {'' if samples else 'whole '}numbers")
    declared, left = math.prod(shape) * dtype.itemsize, info.file_size - member.tell()
    if min(shape, default=0) < 0 or declared != left:
        raise ValueError(f"{name} declares {declared:,} bytes, shape {shape}, but its file holds {left:,}")
    densest = DENSEST.get(info.compress_type)
    if densest and info.file_size > densest * info.compress_size:
        raise ValueError(f"{name} declares {declared:,} bytes, more than {info.compress_size:,} packed ones can hold")
    afford(math.prod(shape) * (8 + dtype.itemsize), name)


def _float(array: NDArray[Any]) -> NDArray[Any]:
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 4
    return array.astype(np.float64 if wide else np.float32)
