"""What damaged files may do to their reader: a crash, a hang or a flood of memory is one error about the file."""

import os
import struct
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eb_core import UsageError
from eb_datasets import apart
from eb_datasets.apart import read_apart
from eb_datasets.cifar10 import Cifar10
from eb_datasets.published import Published
from eb_datasets.svhn import Svhn

Write = Callable[..., Any]
OURS = Published("ours", "", ())


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 2)
    monkeypatch.setattr(apart, "ROOM", 2**30)


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import unruly_readers

    return unruly_readers


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    for name in "ab":
        (tmp_path / name).write_text(name * 3)
    return [tmp_path / "a", tmp_path / "b"]


def refused(call: Callable[[], Any]) -> str:
    """What was said, after a few seconds at most of computing."""
    before = sum(os.times()[:4])
    with pytest.raises(UsageError) as caught:
        call()
    assert sum(os.times()[:4]) - before < 6
    assert len(caught.value.faults) == 1
    return caught.value.faults[0].what


def test_arrays_come_back_as_they_are_for_one_file_after_the_other(readers: Any, paths: list[Path]) -> None:
    contents = read_apart(readers.numbers, paths, OURS, times=2)
    assert [[array.tolist() for array in content] for content in contents] == [[[[0, 6], [2, 8], [4, 10]], [3]]] * 2
    assert contents[0][0].dtype == np.uint8


def test_relative_paths_start_here(readers: Any, paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paths[0].parent)
    assert len(read_apart(readers.numbers, [Path("a")], OURS)) == 1


def test_the_process_imports_neither_torch_nor_a_file_of_the_current_folder(
    readers: Any, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(paths[0].parent)
    Path("numpy.py").write_text("open('trace', 'w')")
    Path("json.py").write_text("open('trace', 'w')")
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry])
    assert read_apart(readers.imported, paths[:1], OURS)[0][0].tolist() == [False] * 3
    assert not Path("trace").exists()


def test_a_file_that_has_gone_is_one_error(readers: Any, tmp_path: Path) -> None:
    assert "gone is no usable file of ours: [Errno 2]" in refused(
        lambda: read_apart(readers.numbers, [tmp_path / "gone"], OURS)
    )


@pytest.mark.parametrize(
    ("reader", "complaint"),
    [
        ("crash", "a is no usable file of ours: it is damaged in a way that crashes its reader (SIGSEGV)"),
        (
            "crash_at_the_second",
            "b is no usable file of ours: it is damaged in a way that crashes its reader (SIGSEGV)",
        ),
        ("leave", "crashes its reader (3)"),
        ("recurse", "maximum recursion depth exceeded"),
        ("hang", "a is no usable file of ours: it takes far longer than a file of this size should"),
        ("hang_in_c", "takes far longer than a file of this size should"),
        ("flood", "a is no usable file of ours: it takes far more memory than a file of this size should"),
        ("flood_bit_by_bit", "takes far more memory than a file of this size should"),
        ("complain_at_length", "x" * 300 + "…"),
        ("complain_without_words", "KeyError"),
    ],
)
def test_whatever_happens_to_a_reader_is_one_error_about_its_file(
    reader: str, complaint: str, readers: Any, paths: list[Path]
) -> None:
    text = refused(lambda: read_apart(getattr(readers, reader), paths, OURS))
    assert text.endswith(complaint)
    assert len(text) < 400


def test_no_process_is_left_behind_when_reading_is_interrupted(
    readers: Any, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(process: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("eb_datasets.apart._received", interrupt)
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        read_apart(readers.hang, paths, OURS)
    assert time.perf_counter() - began < 3
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def laughs(depth: int) -> bytes:
    """A pickle of pairs of the same pair, `depth` deep: to look at all of it takes 2^depth steps."""
    return b"\x80\x04)" + b"2\x86" * depth


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x04}" + laughs(100)[2:] + b"K\x01s.",  # the key of a dictionary, which is hashed
        b"cnumpy\ndtype\n(" + laughs(100)[2:] + b"tR.",  # shown in a message
        b"\x80\x04" + b"]" * 500_000 + b"a" * 499_999 + b".",  # lists in lists
        b"\x80\x04)" + b"\x85" * 500_000 + b".",
        b"(" * 500_000 + b"t" * 500_000 + b".",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",  # bytes, so many
        b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b".",  # a number of so many bytes
        b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b".",  # a frame
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",  # a byte array
        b"\x80\x04Nr\xff\xff\xff\x7f.",  # the two thousand millionth thing to be remembered
        b"I" + b"9" * 500_000 + b"\n.",
    ],
)
def test_a_pickle_that_asks_for_all_time_or_memory_is_refused(
    program: bytes, tmp_path: Path, write_cifar: Write
) -> None:
    write_cifar(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(program)
    assert "data_batch_1 is no usable file of cifar10" in refused(lambda: Cifar10().load(tmp_path))


def member(name: str, **facts: Any) -> bytes:
    header = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(header, key, value)
    return header.tobuf(tarfile.GNU_FORMAT)


FOLDER = "cifar-10-batches-py"


@pytest.mark.parametrize(
    "content",
    [
        member(f"{FOLDER}/data_batch_1", type=tarfile.FIFOTYPE),
        member(f"{FOLDER}/data_batch_1", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        member(f"{FOLDER}/data_batch_1", type=tarfile.SYMTYPE, linkname="/dev/zero"),
        member(f"{FOLDER}/data_batch_1", type=tarfile.LNKTYPE, linkname=f"{FOLDER}/data_batch_1"),
        member(f"{FOLDER}/data_batch_1", type=tarfile.DIRTYPE),
        member(f"{FOLDER}/data_batch_1", size=2**40),
        member(f"{FOLDER}/data_batch_1", size=-1),
        member("else", type=tarfile.XHDTYPE, size=2**40),
        member("else", type=tarfile.GNUTYPE_LONGNAME, size=2**40),
        member("else", type=tarfile.GNUTYPE_SPARSE, size=2**40),
        member(f"../../{FOLDER}/data_batch_1", size=512) + b"." * 512,
        member("else", size=2**34) + b"\0" * 2**27,
    ],
)
def test_an_archive_with_odd_members_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(zlib.compress(content + b"\0" * 1024, 1, wbits=31))
    text = refused(lambda: Cifar10().load(tmp_path))
    assert text.startswith("cifar-10-python.tar.gz is no usable file of cifar10: ")


def test_an_archive_that_unpacks_to_far_more_than_it_should_is_refused(tmp_path: Path) -> None:
    packer = zlib.compressobj(1, wbits=31)
    header = packer.compress(member("else", type=tarfile.XHDTYPE, size=2**36)) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(header + zeros * 2**8)
    assert "is no usable file of cifar10: it takes far" in refused(lambda: Cifar10().load(tmp_path))


@pytest.mark.parametrize(("at", "value"), [(184, 0), (185, 1), (145, 14)])
def test_one_changed_byte_that_crashes_scipy_s_reader_does_not_crash_this_process(
    at: int, value: int, tmp_path: Path, write_svhn: Write
) -> None:
    write_svhn(tmp_path, packed=False)
    path = tmp_path / "train_32x32.mat"
    raw = bytearray(path.read_bytes())
    raw[at] = value
    path.write_bytes(raw)
    assert "train_32x32.mat is no usable file of svhn" in refused(lambda: Svhn().load(tmp_path))


@pytest.mark.parametrize("at", [28, 36, 44])
def test_a_matlab_file_that_declares_more_than_it_holds_is_refused(at: int, tmp_path: Path, write_svhn: Write) -> None:
    write_svhn(tmp_path, packed=False)
    path = tmp_path / "train_32x32.mat"
    raw = bytearray(path.read_bytes())
    raw[128 + at : 132 + at] = struct.pack("<I", 2**31 - 1)
    path.write_bytes(raw)
    assert "train_32x32.mat is no usable file of svhn" in refused(lambda: Svhn().load(tmp_path))
