"""The recipe that a run has written, which may be a stranger's."""

from collections.abc import Sequence
from pathlib import Path

from eb_core.registry import SettingsLayer, parse_recipe
from eb_core.registry.commands import command
from eb_core.registry.recipes import read_text
from eb_core.training.manifest import RECIPE


def written_recipe(path: Path, trust: bool = False, typed: Sequence[str] = ("eb", "evaluate")) -> SettingsLayer:
    """The recipe in a run directory.

    Args:
        path: the run directory.
        trust: the user vouches for whoever made the directory.
        typed: what a user types before its name, for the advice.

    Raises:
        UsageError: there is none.
    """
    file = path / RECIPE
    vouch = "" if trust else f"{command(*typed, path, '--trust')} (in Python: trust=True)"
    recipe = path.suffix.lower() == ".toml"
    advice = f"a recipe is given with --recipe {path}" if recipe else "give a directory made by 'eb train'"
    return parse_recipe(read_text(file, str(file), advice), str(file), vouch)
