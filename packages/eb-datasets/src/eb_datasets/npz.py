"""Your own arrays in a NumPy file: x_train (N, *shape), y_train (N,), and if there are any x_test, y_test.

Such a file is written with `numpy.savez("mine.npz", x_train=…, y_train=…)`.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eb_core import Data, Dataset, UsageError, configurable, option
from eb_datasets.folders import own_file


@configurable
class Npz(Dataset):
    """Arrays of a .npz file; pickled objects in it are refused."""

    file: str = option(help="path of the .npz file; a relative one starts at --data-dir or here")
    divide_by: float = option(default=1.0, help="divide all samples by this; 255 for 8-bit pixels", gt=0, prepares=True)

    def load(self, data_dir: Path | None = None) -> Data:
        path = own_file(self.file, data_dir)
        arrays = _arrays(path)
        x, test = arrays["x_train"] / self.divide_by, None
        if "x_test" in arrays:
            test = arrays["x_test"] / self.divide_by, arrays["y_test"]
        return Data.from_arrays(x, arrays["y_train"], test=test, name=path.name)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a data set: samples as floats, labels as int64."""
    try:
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("a single array, without names")
            known = [name for name in ("x_train", "y_train", "x_test", "y_test") if name in archive]
            if "x_train" not in known or "y_train" not in known or len(known) == 3:
                raise ValueError(f"it holds {', '.join(sorted(archive)) or 'nothing'}")
            return {name: _checked(name, archive[name]) for name in known}
    except (EOFError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            f"{path.name} is no .npz file of a data set: {error}",
            origin=str(path),
            advice="numpy.savez(file, x_train=…, y_train=…), and x_test=… with y_test=… if there are test samples; "
            "x are numbers and y whole numbers, never objects",
        ) from None


def _checked(name: str, array: NDArray[Any]) -> NDArray[Any]:
    samples = name.startswith("x")
    if array.dtype.kind not in ("biuf" if samples else "iu"):
        raise ValueError(f"{name} has the type {array.dtype}, expected are {'' if samples else 'whole '}numbers")
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 4
    return array.astype((np.float64 if wide else np.float32) if samples else np.int64)
