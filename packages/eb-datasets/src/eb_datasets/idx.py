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

from eb_datasets.limits import afford

UNSIGNED_BYTES: Final = 0x0800
BYTES: Final = b"\0\0\x08"
GZIP: Final = b"\x1f\x8b"
LONGEST_HEADER: Final = 4 * (1 + 255)
DENSEST: Final = 1032
"""Bytes that one byte of a gzip file can stand for, at most."""
MARGIN: Final = 2**20
"""Bytes after the declared ones that are read, to count them."""
FLOAT: Final = 9
"""A byte becomes a pixel of 32 bits, and for a while there are two of them; or a label of 64 bits."""


def unpacked(path: Path) -> bytes:
    """What a file holds, unpacked if it is a gzip file, whatever its name says; at most what its header declares.

    Raises:
        ValueError: it goes on long after that, or it declares more than it can hold or than there is memory for.
    """
    with path.open("rb") as stream:
        packed = stream.read(len(GZIP)) == GZIP
    with gzip.open(path) if packed else path.open("rb") as stream:
        head = stream.read(LONGEST_HEADER)
        size = _declared(head)
        if packed and size > DENSEST * path.stat().st_size:
            raise ValueError(f"its header declares {size:,} bytes, more than it can hold")
        afford(FLOAT * size, "what its header declares")
        rest = stream.read(size + MARGIN) if size else b""
    if len(rest) == size + MARGIN:
        raise ValueError(f"it goes on long after the {size:,} bytes that its header declares")
    return head + rest


def _declared(head: bytes) -> int:
    """How many bytes a file should have that begins like this; 0 if it holds none, or is too short to say."""
    rank = head[3] if len(head) > 3 else 0
    header = 4 * (1 + rank)
    if not head.startswith(BYTES) or len(head) < header:
        return 0
    sizes: tuple[int, ...] = struct.unpack_from(f">{rank}I", head, 4)
    return header + math.prod(sizes)


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
