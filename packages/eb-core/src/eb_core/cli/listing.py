"""`eb list-plugins` and `eb describe`: what is installed, and what each part can be told."""

import inspect
from typing import Annotated, Any

import attrs
import typer

from eb_core.cli.choices import Options, built
from eb_core.cli.render import guarded, out, print_json, show_cure, table
from eb_core.cli.terminal import paragraphs, styled
from eb_core.registry import (
    HOOKS,
    KINDS,
    Component,
    EbError,
    Fault,
    Plugin,
    Registry,
    UsageError,
    did_you_mean,
    fields,
    type_name,
)
from eb_core.registry.component import FILES
from eb_core.registry.conditions import in_words
from eb_core.registry.options import default_of, option_types
from eb_core.registry.recipes import TRAINER, TRAINER_TARGET
from eb_core.registry.suites import packaged_text
from eb_core.registry.wording import shortened

_COLOURS = {"ok": "green", "disabled": "dim", "broken": "red", "incompatible": "yellow", "conflict": "magenta"}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@guarded
def list_plugins(
    context: typer.Context,
    matrix: Annotated[
        bool,
        typer.Option(
            "--matrix",
            help="Instead, which relaxer fits which energy, which rule which backend, and why not (loads torch).",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List every plugin with its status, and every component by kind. Broken ones are shown, never hidden."""
    registry: Registry = context.obj
    if matrix:
        from eb_core.cli.matrix import show_matrix

        show_matrix(registry, as_json)
        return
    if as_json:
        print_json([_plain(plugin) for plugin in registry.plugins])
        return
    components = table("kind", "name", "what it is", "package")
    for kind in HOOKS.values():
        for index, offer in enumerate(registry.offers(kind)):
            components.add_row(
                styled("[bold]{}[/]", kind) if index == 0 else "",
                styled("[cyan]{}[/]", offer.component.name),
                shortened(offer.component.summary),
                offer.plugin.distribution,
            )
    out.print(components)
    out.print()
    plugins = table("package", "version", "status", "plugin")
    for plugin in registry.plugins:
        status = styled(f"[{_COLOURS[plugin.status]}]{{}}[/]", plugin.status)
        plugins.add_row(plugin.distribution, plugin.version, status, plugin.module)
    out.print(plugins)
    for plugin in registry.plugins:
        for fault in plugin.faults:
            what = f"\n[{_COLOURS[plugin.status]}]{{}}[/] is {{}}: {{}}"
            out.print(styled(what, plugin.distribution, plugin.status, fault.what))
            show_cure(fault, out)
    out.print(styled("\n[dim]eb describe KIND NAME shows the options of a component.[/]"))


def _plain(plugin: Plugin) -> dict[str, Any]:
    record = attrs.asdict(plugin, recurse=False)
    record["components"] = {
        kind: [attrs.asdict(component) for component in components] for kind, components in plugin.components.items()
    }
    record["faults"] = [attrs.asdict(fault) for fault in plugin.faults]
    return record


@guarded
def describe(
    context: typer.Context,
    kind: Annotated[
        str, typer.Argument(help="model, energy, relaxer, rule, cost, dataset, backend, recipe, suite, trainer")
    ],
    name: Annotated[str, typer.Argument(help="Name of the component; nothing for the trainer.")] = "",
    backend_opt: Options = None,
    as_json: AsJson = False,
) -> None:
    """Show what a component does, its options with default, range and unit, and where it comes from.

    Of a device also its capabilities; --backend-opt says of which one, where its options choose.
    """
    registry: Registry = context.obj
    known = (*KINDS, *FILES, TRAINER)
    if kind not in known:
        raise UsageError(f"no kind is called '{kind}'", origin="KIND", advice=did_you_mean(kind, known))
    if backend_opt and kind != "backend":
        raise UsageError(
            f"a {kind} has no options of a backend", origin=f"--backend-opt {backend_opt[0]}", advice="leave it out"
        )
    if kind == TRAINER:
        _show(kind, Component("trainer", TRAINER_TARGET), _trainer_class(), as_json)
        return
    if not name:
        raise UsageError(f"which {kind}?", origin="NAME", advice=did_you_mean("", registry.names(kind)))
    component = registry.find(kind, name, f"eb describe {kind} {name}")
    if kind in FILES:
        text = packaged_text(kind, component)
        print_json({"name": name, "target": component.target, "toml": text}) if as_json else out.print(paragraphs(text))
        return
    cls = registry.load(kind, component)
    _show(kind, component, cls, as_json, _capabilities(registry, name, backend_opt) if kind == "backend" else None)


def _capabilities(
    registry: Registry, name: str, options: list[str] | None
) -> list[tuple[str, str, str]] | Fault | None:
    """(name, value, meaning) of all that a device can do; why it is not known; None of a simulation.

    Raises:
        UsageError: options were typed, and do not serve.
    """
    from eb_core.device.backend import DeviceBackend
    from eb_core.device.capabilities import described

    try:
        backend = built(registry, "backend", name, options)
        if isinstance(backend, DeviceBackend):
            return described(backend.capabilities())
    except EbError as error:
        if options:
            raise
        return error.faults[0]
    if options:
        raise UsageError(
            f"backend '{name}' is no device, and says nothing of itself by its options",
            origin=f"--backend-opt {options[0]}",
            advice="leave it out",
        )
    return None


def _show_capabilities(capabilities: list[tuple[str, str, str]] | Fault) -> None:
    if isinstance(capabilities, Fault):
        out.print(styled("[yellow]what it can do is not known:[/] {}", capabilities.what))
        show_cure(capabilities, out)
    else:
        can = table("it can", "value", "meaning")
        for name, value, meaning in capabilities:
            can.add_row(styled("[cyan]{}[/]", name), value, meaning)
        out.print(can)
    out.print()


def _trainer_class() -> type:
    from eb_core.training.settings import TrainerSettings

    return TrainerSettings


def _show(
    kind: str,
    component: Component,
    cls: type,
    as_json: bool,
    capabilities: list[tuple[str, str, str]] | Fault | None = None,
) -> None:
    kinds = option_types(cls)
    rows: list[dict[str, Any]] = [
        {
            "name": field.name,
            "type": type_name(kinds[field.name]),
            "default": None if default is attrs.NOTHING else default,
            "required": default is attrs.NOTHING,
            "range": spec.range(),
            "unit": spec.unit,
            "reaches_out": spec.reaches_out,
            "help": spec.help,
            "only_with": in_words(spec.only_with),
        }
        for field, spec in fields(cls)
        for default in (component.preset.get(field.name, default_of(field)),)
    ]
    text = inspect.getdoc(cls) or ""
    if as_json:
        can: dict[str, Any] = {}
        if isinstance(capabilities, list):
            can["capabilities"] = {name: {"value": value, "help": meaning} for name, value, meaning in capabilities}
        elif capabilities:
            can["fault"] = capabilities.what
        print_json({"kind": kind, **attrs.asdict(component), "doc": text, "options": rows, **can})
        return
    out.print(styled("[bold]{} [cyan]{}[/][/]  [dim]{}[/]\n", kind, component.name, component.target))
    out.print(paragraphs(text), end="\n\n")
    if component.preset:
        out.print("preset: " + ", ".join(f"{key} = {value!r}" for key, value in component.preset.items()), end="\n\n")
    if component.recipe:
        out.print(f"default recipe: {component.recipe}", end="\n\n")
    if capabilities is not None:
        _show_capabilities(capabilities)
    if not rows:
        out.print("It has no options.")
        return
    options = table("option", "default", "type", "meaning")
    for row in rows:
        outside = "reaches outside this computer: never from a file without --trust" if row["reaches_out"] else ""
        limits = "; ".join(part for part in (row["range"], row["unit"], row["only_with"], outside) if part)
        default = "none" if row["default"] is None else str(row["default"])
        default = "(must be given)" if row["required"] else default
        options.add_row(
            styled("[cyan]{}[/]", row["name"]),
            default,
            row["type"],
            styled("{} [dim]{}[/]", row["help"], f"({limits})") if limits else row["help"],
        )
    out.print(options)
    out.print(styled("\n[dim]eb train --{}-opt NAME=VALUE sets one of them.[/]", kind))
