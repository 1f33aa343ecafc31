"""What a plugin puts on offer: named records whose targets are strings, resolved only when used."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from eb_core.registry.wording import shown

PLUGIN_API: Final = "0.1"
"""Version of the plugin API (hooks, records, contracts), apart from the version of eb-core itself."""

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model": "eb_core.network.network:Model",
        "energy": "eb_core.physics.energy:Energy",
        "relaxer": "eb_core.settling.relaxer:Relaxer",
        "rule": "eb_core.learning.rule:Rule",
        "cost": "eb_core.physics.cost:Cost",
        "dataset": "eb_core.data.data:Dataset",
        "backend": "eb_core.learning.backend:Backend",
    }
)
"""Each kind of component and the contract that its class must fulfil."""

HOOKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "eb_models": "model",
        "eb_energies": "energy",
        "eb_relaxers": "relaxer",
        "eb_rules": "rule",
        "eb_costs": "cost",
        "eb_datasets": "dataset",
        "eb_backends": "backend",
        "eb_recipes": "recipe",
        "eb_suites": "suite",
    }
)
"""Each collecting hook and the kind of record that it returns."""

FILES: Final = ("recipe", "suite")
"""Kinds whose target is a file."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CLASS_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_FILE_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[\w./-]+\.toml")


@attrs.frozen
class Component:
    """One named thing on offer: `name` on the command line, `target` where its code lives.

    Args:
        name: lower-case words joined by hyphens, such as `"c-ep"`.
        target: `"package.module:Class"`; for a recipe or a suite `"package:path/inside/it.toml"`.
        summary: one line for `eb list-plugins`.
        preset: option values that this name stands for. `c-ep` is `ep` with `{"variant": "centered"}`,
            so one class serves many names.
        recipe: on a model or a backend, name of the recipe that gives sensible defaults for a run with it.
    """

    name: str
    target: str
    summary: str = ""
    preset: Mapping[str, Any] = attrs.field(factory=dict)
    recipe: str | None = None

    def problem(self, kind: str) -> str | None:
        """Why this record cannot be used as a `kind`, or None."""
        for field in ("name", "target", "summary"):
            if not isinstance(getattr(self, field), str):
                return f"{field} of {shown(self.name)} must be a string, not {shown(getattr(self, field))}"
        if not _NAME.fullmatch(self.name):
            return f"name {shown(self.name)} must be lower-case words joined by hyphens"
        pattern, shape = (
            (_FILE_TARGET, "package:path.toml") if kind in FILES else (_CLASS_TARGET, "package.module:Class")
        )
        if not pattern.fullmatch(self.target):
            return f"target {shown(self.target)} of {shown(self.name)} must look like '{shape}'"
        if not isinstance(self.preset, Mapping) or not all(isinstance(key, str) for key in self.preset):
            return f"preset of {shown(self.name)} must map names of options to values, not {shown(self.preset)}"
        if not isinstance(self.recipe, str | None):
            return f"recipe of {shown(self.name)} must be the name of a recipe, not {shown(self.recipe)}"
        return None
