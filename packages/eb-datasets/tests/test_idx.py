"""MNIST and Fashion-MNIST from IDX files: what is read, and every way in which a file can be wrong."""

import gzip
import hashlib
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from eb_core import UsageError
from eb_core.testing import check_dataset
from eb_datasets import idx_set
from eb_datasets.fashion_mnist import FashionMnist
from eb_datasets.idx import parse_idx
from eb_datasets.mnist import Mnist

Write = Callable[..., Any]


def spoil(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change what the file `name` of `folder` holds, before it is packed."""
    path = folder / f"{name}.gz"
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


def message(dataset: Mnist | FashionMnist, folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        dataset.load(folder)
    assert len(caught.value.faults) == 1, "one error"
    return str(caught.value)


@pytest.mark.parametrize(
    "dataset", [Mnist(), FashionMnist(), Mnist(normalise=True, pad=True), FashionMnist(augment=True)]
)
def test_idx_sets_keep_the_promises_of_a_data_set(dataset: Any, tmp_path: Path, write_idx: Write) -> None:
    write_idx(tmp_path)
    check_dataset(dataset, tmp_path)


@pytest.mark.parametrize("packed", [True, False])
def test_images_and_labels_are_read_in_file_order_packed_or_not(packed: bool, tmp_path: Path, write_idx: Write) -> None:
    (x, y), (test_x, test_y) = write_idx(tmp_path, packed=packed)
    data = Mnist().load(tmp_path)
    assert data.test is not None
    assert (data.name, data.input_shape, data.classes) == ("mnist", (1, 28, 28), 10)
    assert np.array_equal(data.train.x.numpy(), x[:, None].astype(np.float32) / 255)
    assert np.array_equal(data.test.x.numpy(), test_x[:, None].astype(np.float32) / 255)
    assert (data.train.y.tolist(), data.test.y.tolist()) == (y.tolist(), test_y.tolist())


def test_a_file_that_a_browser_unpacked_but_did_not_rename_is_read(tmp_path: Path, write_idx: Write) -> None:
    write_idx(tmp_path)
    expected = Mnist().load(tmp_path).checksum()
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.decompress(path.read_bytes()))
    assert Mnist().load(tmp_path).checksum() == expected


def test_a_truncated_gzip_file_is_named_with_the_size_and_checksum_that_were_published(
    tmp_path: Path, write_idx: Write
) -> None:
    write_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-500])
    text = message(Mnist(), tmp_path)
    assert "train-images-idx3-ubyte.gz is no usable file of mnist" in text
    assert "ended before" in text
    assert str(path) in text
    assert "9,912,422 bytes and the MD5 sum f68b3c2dcbeaaa9fbdd348bbdeb94873" in text
    assert f"this one has {path.stat().st_size:,} bytes" in text
    for way in ("--data-dir", "EB_DATA_DIR", "download=true"):
        assert way in text


def test_a_gzip_file_with_flipped_bits_is_refused(tmp_path: Path, write_idx: Write) -> None:
    write_idx(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum at its end
    path.write_bytes(content)
    assert "train-labels-idx1-ubyte.gz is no usable file of mnist: CRC check failed" in message(Mnist(), tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("train-labels-idx1-ubyte", lambda raw: b"\0\0\x09\x01" + raw[4:], "0x00000901, expected is 0x00000801"),
        ("train-images-idx3-ubyte", lambda raw: b"<!do" + raw[4:], "0x3c21646f, expected is 0x00000803"),
        ("t10k-images-idx3-ubyte", lambda raw: raw[:5], "holds 5 bytes, its header alone would have 16"),
        ("t10k-images-idx3-ubyte", lambda raw: raw[:-1], "holds 15,695 bytes, by its header it should be 15,696"),
        ("t10k-images-idx3-ubyte", lambda raw: raw + b"\0", "holds 15,697 bytes, by its header it should be 15,696"),
        (
            "train-images-idx3-ubyte",
            lambda raw: struct.pack(">4I", 0x803, 30, 14, 56) + raw[16:],
            "samples have the shape (14, 56), expected is (28, 28)",
        ),
        (
            "train-images-idx3-ubyte",
            lambda raw: struct.pack(">4I", 0x803, 29, 28, 28) + raw[16:-784],
            "holds 29 images, the file of labels beside it 30 labels",
        ),
        ("t10k-labels-idx1-ubyte", lambda raw: raw[:-1] + b"\x0a", "expected are labels from 0 to 9"),
        ("t10k-labels-idx1-ubyte", lambda raw: struct.pack(">2I", 0x801, 0), "holds 0 labels"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_what_is_wrong_in_it(
    name: str, change: Callable[[bytes], bytes], complaint: str, tmp_path: Path, write_idx: Write
) -> None:
    write_idx(tmp_path)
    spoil(tmp_path, name, change)
    text = message(Mnist(), tmp_path)
    assert f"{name}.gz is no usable file of mnist" in text
    assert complaint in text


def test_files_of_the_other_set_are_not_taken_for_this_one_although_they_have_the_same_names(
    tmp_path: Path, write_idx: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(tmp_path)
    labels = gzip.decompress((tmp_path / "train-labels-idx1-ubyte.gz").read_bytes())
    known = attrs.evolve(idx_set.MNIST, train_labels=hashlib.md5(labels).hexdigest())
    monkeypatch.setattr(idx_set, "MNIST", known)
    assert "these are the training labels of mnist" in message(FashionMnist(), tmp_path)
    monkeypatch.setattr("eb_datasets.mnist.MNIST", known)
    assert len(Mnist().load(tmp_path).train) == 30


def test_an_idx_array_of_any_rank_is_read_in_row_order() -> None:
    content = struct.pack(">3I", 0x802, 2, 3) + bytes(range(6))
    assert parse_idx(content, (3,)).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("sizes", "content", "complaint"),
    [
        ((2**32 - 1, 28, 28), b"", "declares 3,367,254,359,296 bytes, more than it can hold"),
        ((2**32 - 1, 2**32 - 1, 2**32 - 1), b"", "more than it can hold"),
        ((30, 28, 28), bytes(30 * 784 + 2**26), "it goes on long after the 23,536 bytes that its header declares"),
        ((30, 28, 28), bytes(30 * 784 + 99), "holds 23,635 bytes, by its header it should be 23,536"),
    ],
)
def test_no_more_is_unpacked_than_a_header_may_declare(
    sizes: tuple[int, ...], content: bytes, complaint: str, tmp_path: Path, write_idx: Write
) -> None:
    write_idx(tmp_path)
    raw = struct.pack(">4I", 0x803, *sizes) + content
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(raw))
    tracemalloc.start()
    assert complaint in message(Mnist(), tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_more_than_there_is_memory_for_is_not_read(
    tmp_path: Path, write_idx: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(tmp_path, packed=False)
    monkeypatch.setattr("eb_datasets.limits.memory", lambda: 100_000)
    assert "what its header declares would take" in message(Mnist(), tmp_path)


def test_how_many_images_there_will_be_is_known_before_they_are_loaded() -> None:
    assert Mnist().known_sizes() == (60_000, 10_000)
    assert Mnist(limit=100).known_sizes() == (100, 10_000)
    assert Mnist(limit=10**6).known_sizes() == (60_000, 10_000)
