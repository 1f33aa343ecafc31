"""What an option needs of the others to do anything: alternatives, each a mapping from options to values.

{"optimizer": ("sgd",)} asks for one of these values, {"noise": True} for any but none, 0 and false.
"""

from collections.abc import Mapping
from typing import Any, Literal

Conditions = Mapping[str, tuple[Any, ...] | Literal[True]]


def in_words(alternatives: tuple[Conditions, ...]) -> str:
    """Such as `only with optimizer = sgd`; empty where nothing is asked for."""
    ways = [
        " and ".join(
            name if allowed is True else f"{name} = {' or '.join(map(shown, allowed))}" for name, allowed in items
        )
        for items in (way.items() for way in alternatives)
    ]
    return f"only with {' or '.join(ways)}" if ways else ""


def hindrance(alternatives: tuple[Conditions, ...], values: Mapping[str, Any]) -> str | None:
    """What keeps an option from doing anything, such as `optimizer = adam`; None if one alternative holds."""
    missed = [
        [name for name, allowed in way.items() if not (values[name] if allowed is True else values[name] in allowed)]
        for way in alternatives
    ]
    if not missed or not all(missed):
        return None
    names = dict.fromkeys(names[0] for names in missed)
    return " and ".join(f"{name} = {shown(values[name])}" for name in names)


def shown(value: Any) -> str:
    """A value as it is typed."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {shown(one)}" for name, one in value.items()) + "}"
    return "[" + ", ".join(map(shown, value)) + "]" if isinstance(value, (list, tuple)) else str(value)
