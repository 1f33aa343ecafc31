"""Which plugins are loaded: allow- and deny-lists of shell patterns, applied before anything is imported."""

import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

import attrs

from eb_core.registry.errors import Fault

ALLOW_VARIABLE: Final = "EB_PLUGINS_ALLOW"
DENY_VARIABLE: Final = "EB_PLUGINS_DENY"


@attrs.frozen
class PluginFilter:
    """Which plugins to load: shell patterns on the name of the distribution or of the entry point."""

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "PluginFilter":
        """Comma-separated patterns in EB_PLUGINS_ALLOW and EB_PLUGINS_DENY; unset means all, none."""
        allow = _split(environ.get(ALLOW_VARIABLE, ""))
        return cls(allow or ("*",), _split(environ.get(DENY_VARIABLE, "")))

    def refusal(self, *names: str) -> Fault | None:
        """Why a plugin known by any of `names` is not to be loaded, or None."""
        for pattern in self.deny:
            if _fits(pattern, names):
                return Fault(
                    f"denied by the pattern '{pattern}'",
                    f"{DENY_VARIABLE} or --plugins-deny",
                    "take the pattern away to load it",
                )
        if not any(_fits(pattern, names) for pattern in self.allow):
            return Fault(
                f"not in the allow-list {','.join(self.allow)}",
                f"{ALLOW_VARIABLE} or --plugins-allow",
                f"add '{names[0]}' to load it",
            )
        return None


def canonical(distribution: str) -> str:
    """`My_Plugin` and `my.plugin` name the same package as `my-plugin`, as everywhere in Python packaging."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _fits(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(canonical(name), canonical(pattern)) for name in names)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
