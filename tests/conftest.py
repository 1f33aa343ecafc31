"""What the integration tests share: the registry of everything installed, and torch kept to one thread."""

from collections.abc import Iterator

import pytest
import torch

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
