"""Choices made in Python as the topmost layer of settings."""

from collections.abc import Mapping
from typing import Any

from eb_core.registry import SettingsLayer, UsageError
from eb_core.registry.recipes import TRAINER
from eb_core.training.settings import TrainerSettings

Choice = str | Mapping[str, Any] | object
"""A component's name, a mapping `{"name": …, option: value}`, or a ready-made instance."""


def layer_of(
    choices: Mapping[str, Choice | None], trainer: Mapping[str, Any] | TrainerSettings | None = None
) -> SettingsLayer:
    """What was chosen, with the keyword that it came from; None is no choice.

    Raises:
        UsageError: an option is named by something else than text.
    """
    sections: dict[str, dict[str, tuple[Any, str]]] = {}
    instances: dict[str, Any] = {}
    for kind, choice in choices.items():
        if isinstance(choice, str):
            sections[kind] = {"name": (choice, f"{kind}=")}
        elif isinstance(choice, Mapping):
            wrong = [key for key in choice if not isinstance(key, str)]
            if wrong:
                raise UsageError(f"options of the {kind} are named by text, not by {wrong[0]!r}", origin=f"{kind}=")
            sections[kind] = {key: (value, f"{kind}=") for key, value in choice.items()}
        elif choice is not None:
            instances[kind] = choice
    if isinstance(trainer, TrainerSettings):
        instances[TRAINER] = trainer
    elif trainer:
        sections[TRAINER] = {key: (value, f"{key}=") for key, value in trainer.items()}
    return SettingsLayer(sections, instances)
