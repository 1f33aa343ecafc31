"""Flags as the topmost layer of settings, and the names that shell completion offers."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from eb_core.registry import Fault, Registry, SettingsLayer, Text, UsageError, resolve_layers
from eb_core.registry.errors import raise_if_any
from eb_core.registry.recipes import TRAINER

Options = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", show_default=False)]
"""Any number of `--…-opt key=value`."""

Trust = Annotated[
    bool, typer.Option("--trust", help="Files may run code: trust whoever wrote the recipe or the run directory.")
]

Lossy = Annotated[
    bool, typer.Option("--allow-lossy", help="Though the device holds many couplings only cut to its range.")
]


def names_of(kind: str) -> Callable[[str], list[str]]:
    """Completion of component names; loads plugins, never torch. It stays silent whatever is broken."""

    def complete(incomplete: str) -> list[str]:
        with contextlib.suppress(Exception):
            return [name for name in Registry.installed().names(kind) if name.startswith(incomplete)]
        return []

    return complete


def lossy(backend_opt: list[str] | None, allowed: bool) -> list[str]:
    """`--backend-opt`, with what `--allow-lossy` is short for."""
    return [*(backend_opt or []), *(["allow_lossy=true"] if allowed else [])]


def component_layer(kind: str, text: str) -> SettingsLayer:
    """`name` or `name(key=value, …)` as a layer; commas inside brackets and quotes belong to a value.

    Raises:
        UsageError: the brackets are not closed, or something in them is not `key=value`.
    """
    origin = f"--{kind} {text}"
    name, opened, inside = text.partition("(")
    values: dict[str, tuple[Any, str]] = {"name": (name.strip(), origin)}
    if opened and not inside.rstrip().endswith(")"):
        raise UsageError(f"'{text}' opens a bracket that it does not close", origin=origin, advice=_FORM)
    for pair in _at_commas(inside.rstrip()[:-1]) if opened else ():
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key or key == "name":
            raise UsageError(f"'{pair.strip()}' is not KEY=VALUE", origin=origin, advice=_FORM)
        values[key] = (Text(value), origin)
    return SettingsLayer({kind: values})


_FORM = "write it as in --relaxer 'gradient-flow(dt=.3, check_every=1)'"


def _at_commas(text: str) -> list[str]:
    """Cut at the commas outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in text:
        quote = "" if sign == quote else (quote or (sign if sign in "\"'" else ""))
        depth += 0 if quote else (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return [part for part in parts if part.strip()]


def built(registry: Registry, kind: str, name: str | None, options: Sequence[str] | None) -> Any:
    """One component with the options that were typed for it.

    Raises:
        UsageError, PluginError: there is none, or an option is wrong.
    """
    layer, faults = layer_from_flags({kind: name}, {kind: options}, {})
    raise_if_any(faults)
    configuration, faults = resolve_layers(registry, [layer], [kind])
    raise_if_any(faults)
    return configuration[kind]


def layer_from_flags(
    names: Mapping[str, str | None],
    options: Mapping[str, Sequence[str] | None],
    settings: Mapping[str, str | None],
) -> tuple[SettingsLayer, list[Fault]]:
    """What was typed, as a layer with its origins, and faults for pairs that are not `key=value`.

    Args:
        names: kind -> component name.
        options: kind -> list of `key=value`.
        settings: trainer option -> text, from flags of their own such as `--epochs`.
    """
    sections: dict[str, dict[str, tuple[Any, str]]] = {}
    faults = []
    for kind, name in names.items():
        if name is not None:
            sections.setdefault(kind, {})["name"] = (name, f"--{kind} {name}")
    for kind, pairs in options.items():
        for pair in pairs or ():
            key, equals, value = pair.partition("=")
            if not equals or not key.strip():
                faults.append(Fault(f"'{pair}' is not KEY=VALUE", f"--{kind}-opt", "write for example steps=20"))
            elif key.strip() == "name" and kind != TRAINER:
                faults.append(Fault(f"'name' is no option of a {kind}", f"--{kind}-opt {pair}", f"write --{kind} NAME"))
            else:
                sections.setdefault(kind, {})[key.strip()] = (Text(value.strip()), f"--{kind}-opt {pair}")
    for key, text in settings.items():
        if text is not None:
            sections.setdefault(TRAINER, {})[key] = (Text(text), f"--{key.replace('_', '-')} {text}")
    return SettingsLayer(sections), faults
