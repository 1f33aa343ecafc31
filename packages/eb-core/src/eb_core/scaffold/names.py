"""What a new package is called, in all the ways that it is called, and whether that name is free.

eb-my-chip  ->  module eb_my_chip, component my-chip, class MyChip, file my_chip.py
"""

import importlib.metadata
import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator
from typing import Final

import attrs

from eb_core.registry import KINDS, Registry, UsageError, did_you_mean

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PREFIX: Final = "eb-"


@attrs.frozen
class Names:
    """One name in all its forms.

    Args:
        distribution: what pip installs.
        kind: of the component.
    """

    distribution: str
    kind: str

    @property
    def module(self) -> str:
        """What Python imports."""
        return self.distribution.replace("-", "_")

    @property
    def component(self) -> str:
        """What a user says: the distribution without `eb-`."""
        return self.distribution.removeprefix(PREFIX)

    @property
    def stem(self) -> str:
        """Name of the file that holds the component, without `.py`."""
        return self.component.replace("-", "_")

    @property
    def cls(self) -> str:
        """Name of its class."""
        return "".join(part.capitalize() for part in self.component.split("-"))


def names_of(name: str, kind: str, registry: Registry) -> Names:
    """The names of a new package, if they are free.

    Args:
        name: of the distribution: lower-case words joined by hyphens.
        kind: of the component.
        registry: what is installed.

    Raises:
        UsageError: with everything that is wrong with the name and the kind.
    """
    if kind not in KINDS:
        known = did_you_mean(kind, KINDS) or f"one of {', '.join(KINDS)}"
        raise UsageError(f"there is no kind '{kind}'", origin="--kind", advice=known)
    if not NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is no name of a package", origin="NAME", advice="lower-case words joined by hyphens: eb-my-chip"
        )
    names = Names(name, kind)
    taken = list(_taken(names, registry))
    if taken:
        raise UsageError(*taken, origin=f"NAME = {name}", advice="choose another name")
    return names


def _taken(names: Names, registry: Registry) -> Iterator[str]:
    """Everything that has the name already."""
    if not names.component or not names.component[0].isalpha():
        yield f"a component would be called '{names.component}', and needs a letter first"
        return
    for word in (names.module, names.stem):
        if keyword.iskeyword(word) or keyword.issoftkeyword(word):
            yield f"'{word}' is a word of Python"
    if names.module in sys.stdlib_module_names:
        yield f"'{names.module}' is a module of Python"
    try:
        importlib.metadata.distribution(names.distribution)
    except importlib.metadata.PackageNotFoundError:
        if names.module not in sys.stdlib_module_names and importlib.util.find_spec(names.module) is not None:
            yield f"a module '{names.module}' is there already"
    else:
        yield f"a package '{names.distribution}' is installed"
    if names.component in registry.names(names.kind):
        yield f"a {names.kind} is called '{names.component}'"
    elif names.component in registry.names("recipe"):
        yield f"a recipe is called '{names.component}'"
