"""Readers for `read_apart` that do what a damaged file may bring a real one to."""

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np


def numbers(path: Path, times: int = 1) -> list[Any]:
    return [np.arange(6, dtype=np.uint8).reshape(2, 3).T * times, np.array([len(path.read_bytes())])]


def crash(path: Path) -> list[Any]:
    return [ctypes.string_at(0)]


def crash_at_the_second(path: Path) -> list[Any]:
    return crash(path) if path.name == "b" else numbers(path)


def leave(path: Path) -> list[Any]:
    os._exit(3)


def recurse(path: Path) -> list[Any]:
    return recurse(path)


def hang(path: Path) -> list[Any]:
    while True:
        pass


def hang_in_c(path: Path) -> list[Any]:
    nested: Any = ()
    for _ in range(100):
        nested = nested, nested
    return [hash(nested)]


def flood(path: Path) -> list[Any]:
    return [bytearray(2**40)]


def flood_bit_by_bit(path: Path) -> list[Any]:
    return [np.empty(2**20) for _ in range(2**20)]


def complain_at_length(path: Path) -> list[Any]:
    raise ValueError("x" * 100_000)


def complain_without_words(path: Path) -> list[Any]:
    raise KeyError


def imported(path: Path) -> list[Any]:
    return [np.array([name in sys.modules for name in ("torch", "scipy", "eb_core.network")])]
