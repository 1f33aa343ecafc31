"""Where the data of a run lay: a recipe keeps the relative path that was typed, the manifest where that began."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eb_core.data.data import Data, Dataset
from eb_core.registry import UsageError


def places(data_dir: Path | None) -> dict[str, str | None]:
    """Absolute: the folder that a run was started in, and the one that its data files were said to be in."""
    folders: dict[str, str | None] = {"cwd": None, "data_dir": None}
    given = str(data_dir or os.environ.get("EB_DATA_DIR", ""))
    with contextlib.suppress(OSError):  # somebody has removed the folder that we are in
        folders["cwd"] = os.getcwd()
        folders["data_dir"] = os.path.abspath(os.path.expanduser(given)) if given else None
    return folders


def load_again(dataset: Dataset, manifest: Mapping[str, Any], data_dir: Path | None) -> Data:
    """The data of a run, looked for as `data_dir` says, then where they lay when it began.

    The first that have the checksum of the run are taken. If none have, the first that could be loaded: the caller
    compares them.

    Raises:
        UsageError: they cannot be loaded; it tells of the first place.
    """
    other: Data | None = None
    errors: list[UsageError] = []
    here = places(data_dir)
    recorded = [manifest[name] for name in ("data_dir", "cwd") if manifest.get(name)]
    for folder in [data_dir, *(Path(one) for one in recorded if one not in here.values())]:
        try:
            data = dataset.load(folder)
        except UsageError as error:
            errors.append(error)
            continue
        if data.checksum() == manifest["data"]["checksum"]:
            return data
        other = other or data
    if other is None:
        raise errors[0]
    return other
