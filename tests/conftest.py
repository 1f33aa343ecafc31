"""What the integration tests share: the registry of everything installed, torch kept to one thread, the command."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from plugin_site import Site
from typer.testing import CliRunner, Result

from eb_core import Registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry.installed()


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def eb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, run in this process and in an empty folder: `eb("train", "--dry-run").exit_code`."""
    from eb_core.cli.main import app

    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for variable in ("ALLOW", "DENY", "PREFER"):
        monkeypatch.setenv(f"EB_PLUGINS_{variable}", "")
    monkeypatch.setenv("EB_TRACEBACK", "")
    return lambda *line: CliRunner().invoke(app, [str(word) for word in line], catch_exceptions=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A folder on sys.path to install plugins into, beside the real ones."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = Site(folder)
    yield made
    made.forget()
