"""Where the files of a data set are looked for, in this order:

    DATA_DIR/NAME, DATA_DIR     --data-dir, or the environment variable EB_DATA_DIR
    CACHE/NAME                  the user's cache folder, where downloads go
    /usr/share/datasets/NAME    where Debian's package dataset-fashion-mnist puts its files

The first folder that holds one of the files has to hold them all: files from two folders are never mixed.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from eb_core import UsageError
from eb_datasets.files import expanded, kind_of, reading, size_of
from eb_datasets.published import Published

DATA_DIR_VARIABLE: Final = "EB_DATA_DIR"
SHARED: Final = Path("/usr/share/datasets")
HOW_TO_GET_IT: Final = (
    f"name a folder that holds its files with --data-dir or {DATA_DIR_VARIABLE}, or download them: download=true"
)

Parts = Mapping[str, Path | None]
"""The files that make up a data set in one folder, by name; None for those that are not there."""


def cache_folder(name: str) -> Path:
    """Where the files of this data set are kept once downloaded."""
    return user_cache_path("eb") / name


def named_folder(data_dir: Path | None) -> Path | None:
    """The folder that the user named: `data_dir`, else the one in the environment, else none."""
    given = str(data_dir or os.environ.get(DATA_DIR_VARIABLE, ""))
    return expanded(given) if given else None


def folders(name: str, data_dir: Path | None) -> tuple[Path, ...]:
    """Every folder that the data set of this name is looked for in, in order."""
    named = named_folder(data_dir)
    return (*((named / name, named) if named else ()), cache_folder(name), SHARED / name)


def locate(
    published: Published,
    data_dir: Path | None,
    parts: Callable[[Path], Parts],
    fetch: Callable[[Published], None] | None = None,
) -> dict[str, Path]:
    """All files of a data set, from the first folder that holds one of them.

    Args:
        published: the data set.
        data_dir: the folder that the user named; None for the one in EB_DATA_DIR, if there is one.
        parts: tells which files a folder holds.
        fetch: puts what is missing into the cache folder; None where nothing may be downloaded.

    Raises:
        UsageError: a file is missing.
    """
    tried = folders(published.name, data_dir)
    cache = cache_folder(published.name)
    folder = next((one for one in tried if any(parts(one).values())), None)
    found = parts(folder or cache)
    if fetch and not all(found.values()) and folder in (None, cache):
        fetch(published)
        found = parts(cache)
    missing = [name for name, path in found.items() if path is None]
    if missing and folder is None:
        raise UsageError(
            f"{published.name} is not on this computer: it needs {', '.join(missing)}",
            origin=f"looked in {', '.join(map(str, tried))}",
            advice=HOW_TO_GET_IT,
        )
    if missing:
        raise UsageError(
            f"{published.name} is not complete without {', '.join(missing)}",
            origin=f"{folder}, which holds the rest of it",
            advice=HOW_TO_GET_IT,
        )
    return {name: path for name, path in found.items() if path}


def reading_of(path: Path, published: Published) -> contextlib.AbstractContextManager[None]:
    """Like `reading`, with what is known of the file as it was published."""
    facts = [str(file) for file in published.files if file.name.removesuffix(".gz") == path.name.removesuffix(".gz")]
    size = f"; this one has {size_of(path):,} bytes"
    advice = "; ".join([*(fact + size for fact in facts), HOW_TO_GET_IT])
    return reading(path, f"usable file of {published.name}", advice)


def own_file(file: str, data_dir: Path | None) -> Path:
    """A file of the user's own, in the folder that they named or in the current one.

    Raises:
        UsageError: there is no such file, or it is a folder, a pipe or a device.
    """
    named, path = named_folder(data_dir), expanded(file)
    tried = list(dict.fromkeys([*([named / path] if named else []), path]))
    kinds = [kind_of(one) for one in tried]
    if "file" in kinds:
        return tried[kinds.index("file")]
    other = next(filter(None, kinds), None)
    raise UsageError(
        f"'{file}' is a {other} and no file" if other else f"there is no file '{file}'",
        origin=f"looked for {', '.join(str(one.absolute()) for one in tried)}",
        advice=f"give its path with file=PATH; a relative one starts at --data-dir, {DATA_DIR_VARIABLE} or here",
    )
