"""What the package puts on offer."""

import subprocess
import sys

import pytest

from eb_core import Registry
from eb_datasets.plugin import eb_datasets

NAMES = ["digits", "mnist", "mnist-100", "fashion-mnist", "cifar10", "cifar100", "svhn", "npz", "csv"]


def test_the_names_on_offer_are_these() -> None:
    assert [component.name for component in eb_datasets()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_leads_to_a_data_set(name: str) -> None:
    registry = Registry.installed()
    registry.load("dataset", registry.find("dataset", f"eb-datasets:{name}"))


def test_the_plugin_module_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, eb_datasets.plugin; sys.exit(sorted({'torch', 'numpy', 'pooch', 'scipy'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
