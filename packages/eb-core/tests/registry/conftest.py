"""What the tests of the registry share: a folder on sys.path to install plugins into."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Site(tmp_path)
    yield made
    made.forget()
