"""A package from templates: every file is a `string.Template`, and paths hold names, too.

templates/common   what all kinds have in common
templates/KIND     the component, its recipe and its tests
"""

import datetime
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from eb_core.registry import HOOKS, PLUGIN_API, RunError, UsageError
from eb_core.scaffold.kinds import NEW, Kind
from eb_core.scaffold.names import Names

TEMPLATES: Final = Path(__file__).parent / "templates"
SUFFIX: Final = ".tmpl"
PATHS: Final[Mapping[str, str]] = {"_module_": "module", "_name_": "name", "_stem_": "stem"}
"""What stands for a name in a path."""


def new_package(names: Names, parent: Path, author: str | None = None) -> Path:
    """Write a package into a new folder of `parent`, called as the distribution; all of it or nothing.

    Args:
        names: its names, see `names_of`.
        parent: folder in which it is made.
        author: who has the copyright; None asks git who commits here.

    Returns:
        The folder.

    Raises:
        UsageError: the folder is there already, or `parent` is none.
        RunError: it cannot be written.
    """
    folder = parent / names.distribution
    if not parent.is_dir():
        raise UsageError(f"there is no folder {parent}", origin="--into", advice="make it first")
    if os.path.lexists(folder):
        raise UsageError(
            f"{folder} is there already, and is left as it is", origin="NAME", advice="choose another name or --into"
        )
    values = _values(names, NEW[names.kind], author or _committer() or f"The authors of {names.distribution}")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{names.distribution}-", dir=parent) as scratch:
            draft = Path(scratch) / names.distribution
            for root in (TEMPLATES / "common", TEMPLATES / names.kind):
                _write(root, draft, values)
            draft.rename(folder)
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}", origin="eb new-plugin") from None
    return folder


def _committer() -> str | None:
    """Who git says commits here."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = subprocess.run([git, "config", "user.name"], capture_output=True, text=True, check=False)
    name = asked.stdout.strip()
    return name if name.isprintable() and not set(name) & set('"\\:#') else None


def _values(names: Names, kind: Kind, author: str) -> dict[str, str]:
    """What stands for each word of the templates."""
    words = {
        "distribution": names.distribution,
        "module": names.module,
        "name": names.component,
        "stem": names.stem,
        "Class": names.cls,
        "target": names.cls + ("Backend" if names.kind == "backend" else ""),
        "kind": names.kind,
        "PORT": f"{names.stem.upper()}_PORT",
    }
    files = [f"| `{Template(path).substitute(words)}` | {what} |" for path, what in kind.files.items()]
    major, minor = importlib.metadata.version("eb-core").split(".")[:2]
    span = f">={major}.{minor},<{major}.{int(minor) + 1}"
    needed = ", ".join(f'"{one}"' for one in (f"eb-core{span}", *kind.dependencies))
    return words | {
        "author": author,
        "year": str(datetime.datetime.now(tz=datetime.UTC).year),
        "summary": kind.summary,
        "Summary": kind.summary[0].upper() + kind.summary[1:],
        "recipe_summary": kind.recipe,
        "defaults": f', recipe="{names.component}"' if names.kind in ("model", "backend") else "",
        "hook": next(hook for hook, made in HOOKS.items() if made == names.kind),
        "api": PLUGIN_API,
        "range": span,
        "dependencies": needed,
        "extras": 'sdk = [] # what speaks to the real board, such as "pyserial>=3.5"\n' if kind.has_sdk else "",
        "files": "\n".join(files),
    }


def _write(root: Path, folder: Path, values: Mapping[str, str]) -> None:
    """Fill in every template below `root`."""
    for template in sorted(root.rglob(f"*{SUFFIX}")):
        path = template.relative_to(root).as_posix().removesuffix(SUFFIX)
        for mark, name in PATHS.items():
            path = path.replace(mark, values[name])
        target = folder / path.replace("dot-", ".")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
