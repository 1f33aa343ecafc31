"""A suite: packages that belong together, and what a run uses where nobody names a component.

[defaults]
model = "mlp"

[brings.eb-models]
model = ["mlp", "dchn"]
recipe = ["mlp"]

The core knows no plugin by name: what it takes by default, and which package to install for a name that is missing, is
what the installed suites say.
"""

import importlib.resources
from collections.abc import Mapping
from typing import Any

import attrs
import tomli

from eb_core.registry.component import KINDS, Component
from eb_core.registry.errors import PluginError
from eb_core.registry.foreign import foreign
from eb_core.registry.wording import shown, told


@attrs.frozen
class Suite:
    """What the file of a suite says.

    Args:
        defaults: kind -> name of the component that a run uses unless another one is named.
        brings: (kind, name) -> package to install for it.
    """

    defaults: Mapping[str, str]
    brings: Mapping[tuple[str, str], str]


def read_suite(component: Component) -> Suite:
    """The suite that a package brings.

    Raises:
        PluginError: its file is missing, or not as it should be.
    """
    text = packaged_text("suite", component)
    try:
        document = tomli.loads(text)
        defaults = _mapping(document.pop("defaults", {}), "[defaults]")
        packages = _mapping(document.pop("brings", {}), "[brings]")
        wrong = [*document, *(kind for kind in defaults if kind not in KINDS)]
        if wrong:
            raise ValueError(f"{shown(wrong[0])} is not known")
        brings = {
            (kind, _text(name)): package
            for package, kinds in packages.items()
            for kind, names in _mapping(kinds, f"[brings.{package}]").items()
            for name in names
        }
        return Suite({kind: _text(name) for kind, name in defaults.items()}, brings)
    except (ValueError, TypeError, RecursionError) as error:
        raise PluginError(
            f"suite '{component.name}' cannot be read: {told(error)}",
            origin=component.target,
            advice="mend the file in the package",
        ) from None


def packaged_text(kind: str, component: Component) -> str:
    """The text of a file that a package registered as a `kind`.

    Raises:
        PluginError: the package does not hold it.
    """
    package, _, inside = component.target.partition(":")
    try:
        with foreign(f"{kind} '{component.name}' ({package})"):
            return importlib.resources.files(package).joinpath(inside).read_text(encoding="utf-8")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(
            f"{kind} '{component.name}' cannot be read: {told(error)}",
            origin=component.target,
            advice="mend the package",
        ) from error


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{what} must be a table, not {shown(value)}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a name must be text, not {shown(value)}")
    return value
