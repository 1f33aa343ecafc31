"""Your own table in a CSV file: one sample a line, one column with its class, all other columns numbers.

Classes are numbered in sorted order: by value if all of them are whole numbers, so that 1, 01 and 1.0 are one, else as
text. Numbers are written in plain digits: what only Python takes for one, 1_000 or digits of other scripts, is none.

Of each class, in file order, sample i = 0, 1, … is a test sample where floor((i + 1) * share) > floor(i * share): with
a share of 1/k every k-th one.
"""

import csv
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from eb_core import Data, Dataset, configurable, option
from eb_datasets.files import reading
from eb_datasets.folders import own_file

LARGEST: Final = float(np.finfo(np.float32).max)
LONGEST_LINE: Final = 4_000_000
NO_DELIMITERS: Final = '\r\n\0"+-.'
"""Characters that end a line, stand around a cell or in a number."""
FEW: Final = 10
"""So many classes are taken for classes, however few samples there are."""
WHOLE: Final = re.compile(r"[+-]?[0-9]{1,300}(\.0*)?")
UNDECODED: Final = re.compile("[\udc80-\udcff]")
"""What stands in a text for bytes that are no UTF-8."""

Sample = tuple[NDArray[np.float32], str]
"""The numbers of a line and the name of its class."""


@configurable
class Csv(Dataset):
    """A table of numbers with a column of classes."""

    file: str = option(help="path of the .csv file; a relative one starts at --data-dir or here")
    label: str | int = option(
        default=-1,
        help="column of the class: its name, or its place counted from 0 or, backwards, from -1",
        prepares=True,
    )
    test_share: float = option(
        default=0.2,
        help="share of each class that is set aside as test samples; 0 for none",
        ge=0,
        lt=1,
        prepares=True,
    )
    header: bool | None = option(
        default=None, help="whether the first line holds the names of the columns; none finds out", prepares=True
    )
    delimiter: str = option(default=",", help="the character between two cells", prepares=True)

    def load(self, data_dir: Path | None = None) -> Data:
        path = own_file(self.file, data_dir)
        advice = (
            "one sample a line, the same number of cells in each, all numbers but the class; see the options label, "
            "header, delimiter and test_share"
        )
        with reading(path, "table of samples", advice):
            if len(self.delimiter) != 1 or self.delimiter in NO_DELIMITERS or self.delimiter.isalnum():
                raise ValueError(f"the delimiter {self.delimiter!r:.20} is no character that can stand between cells")
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
                reader = csv.reader(_lines(stream), delimiter=self.delimiter, strict=True)
                samples = self._samples((reader.line_num, cells) for cells in reader if cells)
            x = np.stack([numbers for numbers, _ in samples])
            y = _numbered([name for _, name in samples])
            test = held_out(y, self.test_share)
        parts = (x[test], y[test]) if test.any() else None
        return Data.from_arrays(x[~test], y[~test], test=parts, name=path.name)

    def _samples(self, lines: Iterator[tuple[int, list[str]]]) -> list[Sample]:
        """All samples; the first line is one of them unless it is a header."""
        number, first = next(lines, (1, []))
        if len(first) < 2:
            raise ValueError("its first line holds one cell; is the delimiter right?" if first else "it is empty")
        column = self._column(first)
        samples = []
        for line, cells in lines:
            if len(cells) != len(first):
                raise ValueError(f"line {line} holds {len(cells)} cells, the first one {len(first)}")
            samples.append(_sample(cells, line, column))
        if not self._is_header(first, column, samples):
            samples.insert(0, _sample(first, number, column))
        if not samples:
            raise ValueError("it holds no samples")
        return samples

    def _column(self, first: list[str]) -> int:
        """Place of the class; text that is a whole number is a place too."""
        names = [cell.strip() for cell in first]
        try:
            column = int(self.label)
        except ValueError:
            if self.header is False or names.count(str(self.label)) != 1:
                raise ValueError(f"its first line names no column '{self.label}', or several") from None
            return names.index(str(self.label))
        if not -len(first) <= column < len(first):
            raise ValueError(f"there is no column {column}, its lines hold {len(first)} cells")
        return column % len(first)

    def _is_header(self, first: list[str], column: int, samples: list[Sample]) -> bool:
        """Whether the first line names columns: none of its features is a number, or only its class is none."""
        if self.header is not None:
            return self.header
        features = [_is_number(cell) for at, cell in enumerate(first) if at != column]
        numbered = bool(samples) and all(_is_number(name) for _, name in samples)
        by_name = first[column].strip() == self.label
        return by_name or not any(features) or (numbered and not _is_number(first[column]))


def held_out(y: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which samples are test samples.

    Raises:
        ValueError: a share is asked for, and no class has enough samples to give one.
    """
    counts = np.bincount(y)
    place = np.arange(len(y)) - np.repeat(counts.cumsum() - counts, counts)  # within its class, class by class
    test = np.zeros(len(y), dtype=bool)
    test[np.argsort(y, kind="stable")] = np.diff(np.floor([place * share + 1e-9, (place + 1) * share + 1e-9]), axis=0)
    if share and not test.any():
        raise ValueError(f"test_share={share:g} leaves no test sample of {len(y)}; set it to 0 for none")
    return test


def _sample(cells: list[str], line: int, column: int) -> Sample:
    name = cells[column].strip()
    if not name:
        raise ValueError(f"line {line} names no class")
    numbers = [_number(cell, line, at) for at, cell in enumerate(cells) if at != column]
    return np.array(numbers, dtype=np.float32), name


def _number(cell: str, line: int, column: int) -> float:
    if not _is_number(cell) or not abs(float(cell)) <= LARGEST:
        text = repr(cell if len(cell) <= 40 else f"{cell[:40]}…")
        raise ValueError(f"line {line}, column {column} holds {text}, expected is a finite number")
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell


def _lines(stream: TextIO) -> Iterator[str]:
    """The lines of a text, each of them judged before it is cut into cells."""
    for number in itertools.count(1):
        line = stream.readline(LONGEST_LINE + 1)
        if not line:
            return
        if len(line) > LONGEST_LINE:
            raise ValueError(f"line {number} is longer than {LONGEST_LINE:,} characters")
        byte = None if line.isascii() else UNDECODED.search(line)
        if byte:
            raise ValueError(
                f"line {number} cannot be decoded: byte 0x{ord(byte[0]) - 0xDC00:02x} at its character {byte.start()} "
                "is no UTF-8; save the table as UTF-8 (it may be Latin-1 or UTF-16)"
            )
        if "\0" in line:
            raise ValueError(f"line {number} holds a zero byte, which no text does; save the table as UTF-8")
        yield line


def _numbered(names: list[str]) -> NDArray[np.int64]:
    """The number of each sample's class.

    Raises:
        ValueError: all samples are of one class, or there are so many classes that their column hardly names any.
    """
    whole = all(map(WHOLE.fullmatch, names))
    values: list[Any] = [int(name.partition(".")[0]) for name in names] if whole else names
    number = {value: index for index, value in enumerate(sorted(set(values)))}
    if len(number) == 1 < len(names):
        raise ValueError(f"all its samples are of one class, {names[0]!r:.40}")
    if len(number) > max(FEW, len(names) // 2):
        raise ValueError(
            f"its column of classes names {len(number):,} of them for {len(names):,} samples, so it may hold values "
            "or names of samples; say with label= which column is the class"
        )
    return np.array([number[value] for value in values])
