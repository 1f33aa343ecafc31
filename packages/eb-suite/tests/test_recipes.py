"""Every recipe of the suite resolves, and the one for MNIST trains on files of that format."""

import struct
from pathlib import Path

import numpy as np
import pytest

import eb_core as eb
from eb_core.registry import read_recipe
from eb_core.training.prepare import configure

RECIPES = eb.Registry.installed().names("recipe")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_the_suite_resolves_to_the_parts_that_it_names(name: str) -> None:
    registry = eb.Registry.installed()
    recipe = read_recipe(registry, name)
    configuration = configure(registry, [recipe])
    for kind in ("model", "energy", "relaxer", "rule", "cost", "dataset"):
        assert configuration.sections[kind].name == recipe.name_of(kind)


def test_the_recipe_of_mnist_learns_a_tiny_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in (("train", 400), ("t10k", 50)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[np.arange(count), 2 * labels + 4, 4:24] = 255  # digit k is a bar in row 2 k + 4
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
            (tmp_path / f"{split}-{kind}-ubyte").write_bytes(header + array.tobytes())
    monkeypatch.setenv("EB_DATA_DIR", str(tmp_path))
    result = eb.train(recipe="mnist", epochs=4)
    assert result.test is not None
    assert result.test.samples == 50
    assert result.test.accuracy > 0.9
