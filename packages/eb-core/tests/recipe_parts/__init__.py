"""A model and two data sets with options of every type, as a package of somebody else's would bring them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from eb_core import Dataset, Model
from eb_core.registry import configurable, option


@configurable
class Everything(Dataset):
    number: float = option(default=0.5, help="a float")
    whole: int = option(default=3, help="an int")
    switch: bool = option(default=False, help="a bool")
    word: str = option(default="word", help="a text")
    choice: Literal["a", "b"] = option(default="a", help="a choice")
    many: tuple[float, ...] = option(default=(1.0,), help="a list")
    words: tuple[str, ...] = option(default=(), help="a list of texts")
    table: Mapping[str, float] = option(default={}, help="a table")
    limit: float | None = option(default=1.0, help="a float or none")

    def load(self, data_dir: Path | None = None) -> Any: ...


@configurable
class Other(Dataset):
    number: float = option(default=0.5, help="a float")

    def load(self, data_dir: Path | None = None) -> Any: ...


@configurable
class Net(Model):
    hidden: tuple[int, ...] = option(default=(1,), help="units", ge=1)

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Any: ...
