"""Your own table in a CSV file: one sample a line, one column with its class, all other columns numbers.

Classes are numbered in sorted order: as numbers if all of them are whole numbers, else as text. Of each class, in
file order, sample i = 0, 1, … is a test sample where floor((i + 1) * share) > floor(i * share): with a share of 1/k
every k-th one.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eb_core import Data, Dataset, UsageError, configurable, option
from eb_datasets.folders import own_file

LARGEST: Final = float(np.finfo(np.float32).max)

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
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.reader(stream, delimiter=self.delimiter, strict=True)
                samples = self._samples((reader.line_num, cells) for cells in reader if cells)
            x = np.stack([numbers for numbers, _ in samples])
            number = {name: index for index, name in enumerate(_in_order({name for _, name in samples}))}
            y = np.array([number[name] for _, name in samples])
            test = held_out(y, self.test_share)
        except (OSError, TypeError, ValueError, csv.Error) as error:
            raise UsageError(
                f"{path.name} is no table of samples: {error}",
                origin=str(path),
                advice="one sample a line, the same number of cells in each, all numbers but the class; see the "
                "options label, header, delimiter and test_share",
            ) from None
        parts = (x[test], y[test]) if test.any() else None
        return Data.from_arrays(x[~test], y[~test], test=parts, name=path.name)

    def _samples(self, lines: Iterator[tuple[int, list[str]]]) -> list[Sample]:
        """All samples; the first line is one of them unless it is a header."""
        number, first = next(lines, (1, []))
        if len(first) < 2:
            raise ValueError("its first line holds one cell" if first else "it is empty")
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
    test = np.zeros(len(y), dtype=bool)
    for one in np.unique(y):
        rows = np.flatnonzero(y == one)
        whole = np.floor(np.arange(len(rows) + 1) * share + 1e-9)
        test[rows[np.diff(whole) > 0]] = True
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
        raise ValueError(f"line {line}, column {column} holds '{cell}', expected is a finite number")
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _in_order(names: set[str]) -> list[str]:
    whole = all(name.removeprefix("-").isdecimal() for name in names)
    return sorted(names, key=int) if whole else sorted(names)
