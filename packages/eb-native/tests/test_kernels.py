"""Kernels are there where they can be, and refuse what would crash."""

import platform
import shutil
import sysconfig
from pathlib import Path

import pytest
import torch  # noqa: F401  (before the kernels: one OpenMP library)

import eb_native

HEADER = Path(sysconfig.get_paths()["include"]) / "Python.h"
ABLE = platform.machine() in ("x86_64", "AMD64") and shutil.which("cc") is not None and HEADER.exists()


@pytest.mark.skipif(not ABLE, reason="no compiler, no headers of Python, or another processor")
def test_they_are_built_or_say_why() -> None:
    assert eb_native.KERNELS or "neither AVX2" in eb_native.REASON


def test_a_reason_is_given_exactly_where_there_are_none() -> None:
    assert bool(eb_native.KERNELS) != bool(eb_native.REASON)


@pytest.mark.skipif(not eb_native.KERNELS, reason="no kernels here")
@pytest.mark.parametrize("index", [-1, 2])
def test_an_unknown_kernel_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=f"no kernel {index}"):
        eb_native.convolve(index, (0,) * 5, (1, 2, 2, 16, 16), 1)
    with pytest.raises(ValueError, match=f"no kernel {index}"):
        eb_native.pool(index, (0,) * 3, (1, 2, 2, 16), 1)


@pytest.mark.skipif(not eb_native.KERNELS, reason="no kernels here")
def test_sizes_that_would_be_read_beyond_their_ends_are_refused() -> None:
    with pytest.raises(ValueError, match="even sides"):
        eb_native.pool(eb_native.KERNELS[0][0], (0,) * 3, (1, 3, 2, 16), 1)
    with pytest.raises(ValueError, match="even sides"):
        eb_native.convolve(eb_native.KERNELS[0][0], (0, 1, 0, 0, 0), (1, 2, 3, 16, 16), 1)
    with pytest.raises(ValueError, match="less than"):
        eb_native.pool(eb_native.KERNELS[0][0], (0,) * 3, (1, 2, 2, 1), 1)
    with pytest.raises(ValueError, match="not positive"):
        eb_native.convolve(eb_native.KERNELS[0][0], (0,) * 5, (1, 2, 0, 16, 16), 1)
