"""IDX, the format of MNIST: big-endian  0 0 TYPE RANK | size_1 … size_RANK (32 bits each) | values.

TYPE 8 is unsigned bytes, so images (N, 28, 28) begin with 0x00000803 = 2051 and labels (N,) with 0x00000801 = 2049.

References: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import math
import struct
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTES: Final = 0x0800
GZIP: Final = b"\x1f\x8b"


def unpacked(path: Path) -> bytes:
    """What a file holds, unpacked if it is a gzip file, whatever its name says."""
    with path.open("rb") as stream:
        packed = stream.read(len(GZIP)) == GZIP
    with gzip.open(path) if packed else path.open("rb") as stream:
        return stream.read()


def parse_idx(content: bytes, sample: tuple[int, ...]) -> NDArray[np.uint8]:
    """Samples of shape `sample` as an array (N, *sample).

    Raises:
        ValueError: another magic number, other shapes, or more or fewer bytes than the header says.
    """
    rank = 1 + len(sample)
    magic, header = UNSIGNED_BYTES + rank, 4 * (1 + rank)
    if len(content) < header:
        raise ValueError(f"it holds {len(content)} bytes, its header alone would have {header}")
    found, *sizes = struct.unpack_from(f">{1 + rank}I", content)
    if found != magic:
        raise ValueError(f"its magic number is 0x{found:08x}, expected is 0x{magic:08x}")
    if tuple(sizes[1:]) != sample:
        raise ValueError(f"its samples have the shape {tuple(sizes[1:])}, expected is {sample}")
    expected = header + math.prod(sizes)
    if len(content) != expected:
        raise ValueError(f"it holds {len(content):,} bytes, by its header it should be {expected:,}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)
