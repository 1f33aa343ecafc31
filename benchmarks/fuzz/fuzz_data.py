"""Damage data files at random and load them: each must load, or be refused with one error, in a few seconds.

    python benchmarks/fuzz/fuzz_data.py [--count N | --counts KIND=N …] [--seed N] [--memory GIB]

Small good files of each kind are made, and each mutant is one of them with a few bytes changed, taken away, repeated or
put in, some of them inside of what is packed. Mutant number i of a kind depends on the seed and on i alone. They are
loaded by a process with little memory; when it dies, that is one crash, and another process goes on after it. Exit code
1 if a mutant gave a traceback, took more than five seconds of computing, or ended the process.
"""

import argparse
import faulthandler
import gzip
import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

SECONDS, STUCK = 5.0, 120
"""Most time of computing for one file; and on the clock, after which the process is ended."""
KINDS = ("npz", "csv", "idx", "cifar", "tar", "mat")
OUTCOMES = ("loaded", "refused", "traceback", "hang", "crash")
GOOD = OUTCOMES[:2]

Mutate = Callable[[bytes, random.Random], bytes]
NUMBERS = [
    struct.pack(f"{order}{size}", (1 << 8 * struct.calcsize(size)) - less)
    for order in "<>"
    for size in "BHIQ"
    for less in (1, 2)
]
NUMBERS += [
    struct.pack(f"{order}{size}", 1 << bit)
    for order in "<>"
    for size, bit in (("I", 30), ("I", 31), ("Q", 40), ("Q", 62))
]
TEXTS = [
    b"nan",
    b"1e999",
    b"1_0",
    b'"',
    b"\0",
    b"\xff",
    b",",
    b"\n",
    b"-",
    b"inf",
    b"\xef\xbb\xbf",
    "１".encode(),
    b"9" * 400,
]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """A file with one to three faults in it."""
    raw = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        # half of the faults are at the beginning, where what matters is declared
        at = chance.randrange(min(len(raw), chance.choice((200, len(raw) + 1))) or 1)
        size = chance.choice((1, 2, 4, 30, 1000))
        match chance.randrange(8):
            case 0 | 1:
                raw[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                raw[at : at + 1] = bytes([(raw[at] if at < len(raw) else 0) ^ 1 << chance.randrange(8)])
            case 3:
                del raw[at:]
            case 4:
                del raw[at : at + size]
            case 5:
                raw[at:at] = raw[at : at + size] * chance.choice((1, 2, 50))
            case 6:
                number = chance.choice(NUMBERS)
                raw[at : at + len(number)] = number
            case 7:
                raw[at:at] = chance.choice(TEXTS) * chance.choice((1, 1, 1000))
    return bytes(raw)


def in_gzip(content: bytes, chance: random.Random) -> bytes:
    """The same inside of a gzip file, whose checksum is right."""
    return gzip.compress(damaged(gzip.decompress(content), chance), 1)


def in_zip(content: bytes, chance: random.Random) -> bytes:
    """The same in one file of a zip archive, whose checksum is right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        worst = chance.choice(old.namelist())
        for name in old.namelist():
            new.writestr(name, damaged(old.read(name), chance) if name == worst else old.read(name))
    return out.getvalue()


def in_mat(content: bytes, chance: random.Random) -> bytes:
    """The same in the first packed element of a MATLAB file."""
    (size,) = struct.unpack_from("<I", content, 132)
    packed = zlib.compress(damaged(zlib.decompress(content[136 : 136 + size]), chance))
    return content[:132] + struct.pack("<I", len(packed)) + packed + content[136 + size :]


def pixels(*shape: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def idx(array: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def batch(count: int) -> bytes:
    labels = [one % 10 for one in range(count)]
    return pickle.dumps({b"data": pixels(count, 3072), b"labels": labels, b"filenames": [b"a.png"] * count}, 4)


def mat(count: int, packed: bool) -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    labels = np.arange(1, count + 1, dtype=np.uint8)[:, None]
    savemat(out, {"X": pixels(32, 32, 3, count), "y": labels}, do_compression=packed)
    return out.getvalue()


def npz(packed: bool) -> bytes:
    out = io.BytesIO()
    x, y = pixels(10, 4).astype(np.float32), np.arange(10) % 3
    (np.savez_compressed if packed else np.savez)(out, x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    return out.getvalue()


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def samples(folder: Path) -> dict[str, tuple[str, list[tuple[Path, bytes, Mutate]]]]:
    """Good files in folders of their own: for each kind its data set, and what is damaged in which way."""
    table = "".join(f"{one},{one / 7},{'abc'[one % 3]}\n" for one in range(20)).encode()
    labels = pixels(20) % 10
    digits = {"train-images-idx3-ubyte": pixels(20, 28, 28), "train-labels-idx1-ubyte": labels}
    digits |= {"t10k-images-idx3-ubyte": pixels(5, 28, 28), "t10k-labels-idx1-ubyte": labels[:5]}
    packed = {f"{name}.gz": gzip.compress(idx(array), 1) for name, array in digits.items()}
    batches = {f"data_batch_{one}": batch(2) for one in range(1, 6)} | {"test_batch": batch(2)}
    tar = {"cifar-10-python.tar.gz": archive({f"cifar-10-batches-py/{name}": raw for name, raw in batches.items()})}
    mats = {"train_32x32.mat": mat(6, True), "test_32x32.mat": mat(2, False)}
    files = {"npz": {"a.npz": npz(True), "b.npz": npz(False)}, "csv": {"a.csv": b"x,y,kind\n" + table, "b.csv": table}}
    files |= {"idx": packed, "cifar": batches, "tar": tar, "mat": mats}
    deep: dict[str, Mutate] = {"npz": in_zip, "idx": in_gzip, "tar": in_gzip, "mat": in_mat}
    sets = {"npz": "npz", "csv": "csv", "idx": "mnist", "cifar": "cifar10", "tar": "cifar10", "mat": "svhn"}
    found: dict[str, tuple[str, list[tuple[Path, bytes, Mutate]]]] = {}
    for kind, contents in files.items():
        (folder / kind).mkdir()
        found[kind] = sets[kind], []
        for name, content in contents.items():
            (folder / kind / name).write_bytes(content)
            ways = {damaged, deep.get(kind, damaged)} - ({in_mat} if name.startswith("test") else set())
            found[kind][1].extend(
                (folder / kind / name, content, way) for way in sorted(ways, key=lambda way: way.__name__)
            )
    return found


def load_all(counts: dict[str, int], first: int, seed: int, memory: int) -> None:
    """Load mutants of all kinds, one after the other from the `first` on, and print the outcome of each."""
    from eb_core import Registry, UsageError

    registry = Registry.installed()
    everyone = [(kind, number) for kind, count in counts.items() for number in range(count)]
    with tempfile.TemporaryDirectory() as name:
        kinds = samples(Path(name))
        limit(memory)
        for kind, number in everyone[first:]:
            dataset, choices = kinds[kind]
            chance = random.Random(f"{seed} {kind} {number}")
            path, content, mutate = chance.choice(choices)
            path.write_bytes(mutate(content, chance))
            options = {"file": path.name} if kind in ("npz", "csv") else {}
            began = sum(os.times()[:4])
            faulthandler.dump_traceback_later(STUCK, exit=True)
            try:
                registry.load("dataset", registry.find("dataset", dataset))(**options).load(path.parent)
                outcome = "loaded"
            except UsageError as error:
                outcome = "refused" if len(error.faults) == 1 else "traceback"
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                outcome = "traceback"
                traceback.print_exc()
            faulthandler.cancel_dump_traceback_later()
            took = sum(os.times()[:4]) - began
            print(
                kind, number, outcome if outcome == "traceback" or took < SECONDS else "hang", f"{took:.2f}", flush=True
            )
            path.write_bytes(content)


def limit(gigabytes: int) -> None:
    """Give this process little memory beside its programs."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (gigabytes * 2**30, gigabytes * 2**30))


def fuzz(counts: dict[str, int], seed: int, memory: int) -> dict[str, Counter[str]]:
    """The outcomes of all mutants of each kind; each that is not good is printed."""
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in counts}

    def done() -> int:
        return sum(counter.total() for counter in outcomes.values())

    while done() < sum(counts.values()):
        order = json.dumps([counts, done(), seed, memory])
        with subprocess.Popen(
            [sys.executable, __file__, "--load", order], stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                kind, number, outcome, took = line.split()
                outcomes[kind][outcome] += 1
                if outcome not in GOOD:
                    print(f"{kind} {number}: {outcome} after {took} s", flush=True)
        if process.returncode:
            kind = next(kind for kind, count in counts.items() if outcomes[kind].total() < count)
            print(f"{kind} {outcomes[kind].total()}: the process ended with {process.returncode}", flush=True)
            outcomes[kind]["crash"] += 1
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="mutants of each kind")
    parser.add_argument("--counts", nargs="*", default=[], metavar="KIND=N", help="of these kinds, and no others")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=int, default=6, help="GiB of address space, programs included")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.load:
        warnings.simplefilter("error")
        load_all(*json.loads(asked.load))
        return 0
    counts = {kind: int(count) for kind, _, count in (pair.partition("=") for pair in asked.counts)}
    began = time.perf_counter()
    outcomes = fuzz(counts or dict.fromkeys(KINDS, asked.count), asked.seed, asked.memory)
    print(f"{'kind':8}" + "".join(f"{outcome:>11}" for outcome in OUTCOMES))
    for kind, counter in outcomes.items():
        print(f"{kind:8}" + "".join(f"{counter[outcome]:>11}" for outcome in OUTCOMES))
    print(f"{time.perf_counter() - began:.0f} s")
    return 0 if all(counter.keys() <= {*GOOD} for counter in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
