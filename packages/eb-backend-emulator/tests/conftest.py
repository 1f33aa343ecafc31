"""Capabilities files of chips that are not shipped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
import tomli_w

from eb_backend_emulator.emulator import CHIPS


@pytest.fixture
def chip_of(tmp_path: Path) -> Callable[..., str]:
    """The path of a chip like a shipped one, but for what is said."""

    def written(name: str, **changes: Any) -> str:
        said = tomli.loads((CHIPS / f"{name}.toml").read_text()) | changes
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.toml"
        path.write_text(tomli_w.dumps(said))
        return str(path)

    return written
