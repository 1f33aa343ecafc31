"""Kernels are there where they can be, and refuse what would crash."""

import platform
import shutil

import pytest
import torch  # noqa: F401  (before the kernels: one OpenMP library)

import eb_native

ABLE = platform.machine() in ("x86_64", "AMD64") and shutil.which("cc") is not None


@pytest.mark.skipif(not ABLE, reason="no compiler, or another processor")
def test_they_are_built_or_say_why() -> None:
    assert eb_native.KERNELS or "neither AVX2" in eb_native.REASON


def test_a_reason_is_given_exactly_where_there_are_none() -> None:
    assert bool(eb_native.KERNELS) != bool(eb_native.REASON)


@pytest.mark.skipif(not eb_native.KERNELS, reason="no kernels here")
@pytest.mark.parametrize("index", [-1, 2])
def test_an_unknown_kernel_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=f"no kernel {index}"):
        eb_native.convolve(index, *[0] * 11)
    with pytest.raises(ValueError, match=f"no kernel {index}"):
        eb_native.pool(index, *[0] * 8)
