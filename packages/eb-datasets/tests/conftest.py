"""Small data sets written in the published formats, and a machine on which no other data set is to be found."""

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

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


Cifar100Split = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]


@pytest.fixture
def write_cifar100() -> Callable[..., list[Cifar100Split]]:
    """Writes both CIFAR-100 batches into a folder and returns their pixels, fine labels and coarse labels."""

    def write(folder: Path, *, train: int = 120, test: int = 40) -> list[Cifar100Split]:
        folder.mkdir(parents=True, exist_ok=True)
        splits = []
        for name, count, seed in (("train", train, 0), ("test", test, 1)):
            x, _ = pictures(count, (3, 32, 32), seed)
            fine, coarse = (np.arange(count) * 7 + 95) % 100, (np.arange(count) * 3 + 4) % 20
            content = {b"filenames": [b"a.png"] * count, b"batch_label": b"batch 1 of 1", b"data": x.reshape(count, -1)}
            content |= {b"fine_labels": fine.tolist(), b"coarse_labels": coarse.tolist()}
            (folder / name).write_bytes(pickle.dumps(content, 4))
            splits.append((x, fine, coarse))
        return splits

    return write


@pytest.fixture
def by_python_2() -> Callable[..., bytes]:
    """Makes a batch as Python 2 and its numpy pickled it, which is how CIFAR was published, of pixels and labels."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def numbers(values: NDArray[np.int64]) -> bytes:
        return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"

    def make(x: NDArray[np.uint8], **labels: NDArray[np.int64]) -> bytes:
        minus_one = b"J" + struct.pack("<i", -1)
        array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + text(b"b") + b"\x87R"
        dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\0K\1\x87R(K\3" + text(b"|") + b"NNN" + minus_one * 2 + b"K\0tb"
        shape = b"M" + struct.pack("<H", len(x)) + b"M" + struct.pack("<H", 3072) + b"\x86"
        raw = b"T" + struct.pack("<i", x.size) + x.tobytes()
        state = b"(K\1" + shape + dtype + b"\x89" + raw + b"tb"
        lists = b"".join(text(name.encode()) + numbers(values) for name, values in labels.items())
        return b"\x80\2}(" + text(b"data") + array + state + lists + b"u."

    return make


@pytest.fixture
def write_svhn() -> Callable[..., tuple[Arrays, Arrays]]:
    """Writes both MATLAB files of SVHN into a folder and returns pixels (N, 3, 32, 32) and digits."""

    def write(folder: Path, *, train: int = 30, test: int = 20, packed: bool = True) -> tuple[Arrays, Arrays]:
        folder.mkdir(parents=True, exist_ok=True)
        splits = pictures(train, (3, 32, 32), 0), pictures(test, (3, 32, 32), 1)
        for name, (x, y) in zip(("train_32x32.mat", "test_32x32.mat"), splits, strict=True):
            labels = np.where(y == 0, 10, y)[:, None].astype(np.uint8)
            savemat(folder / name, {"X": x.transpose(2, 3, 1, 0), "y": labels}, do_compression=packed)
        return splits

    return write
