"""Small data sets written in the published formats, and a machine on which no other data set is to be found."""

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eb_datasets import folders

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that takes the place of the user's cache folder and of the system's folder of data sets."""
    monkeypatch.delenv("EB_DATA_DIR", raising=False)
    monkeypatch.setattr(folders, "user_cache_path", lambda name: tmp_path / "machine" / "cache" / name)
    monkeypatch.setattr(folders, "SHARED", tmp_path / "machine" / "shared")
    return tmp_path / "machine"


def pictures(count: int, shape: tuple[int, ...], seed: int) -> Arrays:
    """Random pixels whose first two hold the number of the image, so that it is known again, and cyclic labels."""
    x = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    numbers = np.arange(count)
    x.reshape(count, -1)[:, 0], x.reshape(count, -1)[:, 1] = numbers // 256, numbers % 256
    return x, (numbers * 7 + 5) % 10


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array in the IDX format."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def write_idx() -> Callable[..., tuple[Arrays, Arrays]]:
    """Writes four IDX files into a folder and returns what they hold."""

    def write(
        folder: Path, *, train: int = 30, test: int = 20, seed: int = 0, packed: bool = True
    ) -> tuple[Arrays, Arrays]:
        folder.mkdir(parents=True, exist_ok=True)
        splits = pictures(train, (28, 28), seed), pictures(test, (28, 28), seed + 1)
        arrays = [array.astype(np.uint8) for split in splits for array in split]
        for name, array in zip(IDX_FILES, arrays, strict=True):
            content = idx(array)
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                (folder / name).write_bytes(content)
        return splits

    return write


@pytest.fixture
def write_cifar() -> Callable[..., list[Arrays]]:
    """Writes six CIFAR-10 batches, pickled by this Python, into a folder and returns what they hold."""

    def write(folder: Path, *, protocol: int = 4, each: int = 10) -> list[Arrays]:
        folder.mkdir(parents=True, exist_ok=True)
        batches = [pictures(each, (3, 32, 32), seed) for seed in range(6)]
        for name, (x, y) in zip([f"data_batch_{one}" for one in range(1, 6)] + ["test_batch"], batches, strict=True):
            content = {b"data": x.reshape(each, -1), b"labels": y.tolist(), b"filenames": [b"a.png"] * each}
            (folder / name).write_bytes(pickle.dumps(content, protocol))
        return batches

    return write
