"""Recipes: TOML over all kinds, every value with its origin, and a run resolved from them.

[model]
name = "mlp"
hidden = [120]

[rule]
name = "c-ep"
beta = 0.2

[trainer]
epochs = 10
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import tomli
import tomli_w

from eb_core.registry.catalog import Registry
from eb_core.registry.commands import command
from eb_core.registry.component import KINDS
from eb_core.registry.errors import SHOWN, Fault, UsageError, did_you_mean
from eb_core.registry.options import default_of
from eb_core.registry.suites import packaged_text

TRAINER: Final = "trainer"
TRAINER_TARGET: Final = "eb_core.training.settings:TrainerSettings"
SECTIONS: Final = (*KINDS, TRAINER)

LARGEST_FILE: Final = 1_000_000
"""No recipe file is larger than that, in bytes."""

VOUCH: Final = "--trust (in Python: trust=True)"
"""How to vouch for a file."""

Values = dict[str, tuple[Any, str]]
"""Option name -> (value, origin in words)."""


@attrs.frozen
class SettingsLayer:
    """One source of settings: per section its values with their origins, or a ready-made instance.

    Args:
        is_recipe: a recipe that names its model stands by itself: the model's default recipe is left out.
        is_default: the default recipe of the model, or that of a run which something else is laid over: what it loses
            is not worth a word.
        vouch: how to vouch for a layer that was read from a file, which may be a stranger's: its names must be
            registered and its options stay within this computer. Empty for what is trusted: typed, written in Python,
            brought by an installed package, or vouched for.
    """

    sections: Mapping[str, Values] = attrs.field(factory=dict)
    instances: Mapping[str, Any] = attrs.field(factory=dict)
    is_recipe: bool = False
    is_default: bool = False
    vouch: str = ""

    def name_of(self, kind: str) -> str | None:
        """The component that this layer names for a kind."""
        value, _ = self.sections.get(kind, {}).get("name", (None, ""))
        return value if isinstance(value, str) else None


@attrs.frozen
class Section:
    """One resolved part of a run: its component, all its options with origins, and the instance.

    Args:
        is_chosen: False for what follows from another part, and is not written down.
    """

    name: str
    values: Values
    instance: Any
    is_chosen: bool = True

    def written(self) -> dict[str, Any]:
        """The section as TOML values: every option, so that a later change of a default cannot matter."""
        table: dict[str, Any] = {} if not self.name else {"name": self.name}
        for name, (value, _) in self.values.items():
            if value is not None:
                table[name] = list(value) if isinstance(value, tuple) else value
            elif default_of(getattr(attrs.fields(type(self.instance)), name)) is not None:
                table[name] = "none"
        return table


@attrs.frozen
class Configuration:
    """A run, resolved: one section for each kind and one for the trainer.

    Args:
        notes: what was said on the way, to be shown.
        vouch: what a command that reads this run from a file needs: `--trust`, or nothing (see `SettingsLayer`).
    """

    sections: Mapping[str, Section]
    notes: tuple[str, ...] = ()
    vouch: tuple[str, ...] = ()

    def __getitem__(self, kind: str) -> Any:
        """The instance of a kind."""
        return self.sections[kind].instance

    @property
    def chosen(self) -> dict[str, Section]:
        """The sections that are written down: no relaxer where a device settles by itself."""
        return {kind: section for kind, section in self.sections.items() if section.is_chosen}

    def table(self) -> dict[str, dict[str, Any]]:
        """Everything as plain values, by section."""
        return {kind: section.written() for kind, section in self.chosen.items()}

    def to_toml(self) -> str:
        """A recipe file that reproduces this run."""
        return tomli_w.dumps(self.table())

    def origins(self) -> dict[str, dict[str, str]]:
        """Where each value came from, by section and option."""
        return {
            kind: {name: origin for name, (_, origin) in section.values.items()}
            for kind, section in self.chosen.items()
        }


def read_recipe(
    registry: Registry, name: str, *, trust: bool = False, typed: Sequence[str] = ("eb", "train")
) -> SettingsLayer:
    """The recipe called `name`, or the one in the file at the path `name` (ends in .toml).

    Args:
        registry: where recipes are looked up by name.
        name: name of a recipe, or path of a .toml file.
        trust: the user vouches for whoever wrote the file; a recipe that a package brings needs no such word.
        typed: what a user types before `--recipe`, for the advice.

    Raises:
        UsageError: no such recipe or file, no TOML, or unknown sections (all of them are named).
    """
    if name.lower().endswith(".toml"):
        vouch = "" if trust else f"{command(*typed, '--recipe', name, '--trust')} (in Python: trust=True)"
        return parse_recipe(read_text(Path(name), f"--recipe {name}"), name, vouch)
    component = registry.find("recipe", name, f"--recipe {name}")
    return parse_recipe(packaged_text("recipe", component), f"recipe '{name}'", "")


def read_text(path: Path, origin: str, advice: str = "check the path") -> str:
    """The text of a recipe file, which may be a stranger's: what it is and its size are judged before it is read.

    Raises:
        UsageError: no file, or one that cannot be read or is no recipe by its size.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is no regular file")
        if path.stat().st_size > LARGEST_FILE:
            raise OSError(f"{path} holds {path.stat().st_size:,} bytes, more than {LARGEST_FILE:,}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path that holds a NUL
        raise UsageError(f"recipe file cannot be read: {error}", origin=origin, advice=advice) from None


def parse_recipe(text: str, origin: str, vouch: str = VOUCH) -> SettingsLayer:
    """TOML text as a layer; `origin` says where it is from, `vouch` is that of `SettingsLayer`."""
    try:
        document = tomli.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not valid TOML: {error}", origin=origin, advice="mend the file at that place") from None
    faults: list[Fault] = []
    sections: dict[str, Values] = {}
    for section, table in document.items():
        if section not in SECTIONS:
            advice = did_you_mean(section, SECTIONS) if len(faults) < SHOWN else ""
            faults.append(Fault(f"unknown section [{section}]", origin, advice))
        elif not isinstance(table, dict):
            faults.append(Fault(f"'{section}' must be a table", origin, f'write [{section}] and name = "…" below it'))
        else:
            sections[section] = {key: (value, f"{origin} [{section}]") for key, value in table.items()}
    if faults:
        raise UsageError(*faults)
    return SettingsLayer(sections, is_recipe=True, vouch=vouch)
