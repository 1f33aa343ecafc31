"""`eb doctor`: is everything here, does every component load, and what to do about what does not."""

import importlib.metadata
import importlib.util
import os
import platform
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
import typer

from eb_core.cli.choices import Options, names_of
from eb_core.cli.listing import AsJson
from eb_core.cli.probe import probe_device
from eb_core.cli.render import err, guarded, out, print_json, show_fault
from eb_core.cli.terminal import styled
from eb_core.registry import KINDS, PLUGIN_API, EbError, Fault, PluginError, Registry, UsageError
from eb_core.registry.recipes import read_recipe
from eb_core.registry.suites import read_suite
from eb_core.registry.wording import told

SLOW: Final = 1.0
"""A plugin that takes longer to load, in seconds, is named: every command waits for it."""


@guarded
def doctor(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="With --probe: the backend of the device.", autocompletion=names_of("backend"))
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Ask a real device what it can do, and keep it in a dated file.")
    ] = False,
    backend_opt: Options = None,
    output: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="With --probe: the file; an old one stays as it is.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check Python, torch, every plugin and every component; exit code 3 if a plugin is in trouble.

    EB_PLUGINS_DENY='*' eb doctor loads no plugin at all.
    """
    registry: Registry = context.obj
    if probe:
        probe_device(registry, name, backend_opt, output, as_json)
        return
    if name or backend_opt or output:
        typed = name or next(iter(backend_opt or ()), None) or f"--out {output}"
        raise UsageError(f"'{typed}' belongs to --probe", origin="eb doctor", advice="add --probe, or leave it out")
    facts = _facts()
    faults = [fault for plugin in registry.plugins if plugin.status != "disabled" for fault in plugin.faults]
    checked = 0
    for kind in KINDS:
        for offer in registry.offers(kind):
            checked += 1
            faults += _load_faults(registry, kind, offer.component)
    for offer in (*registry.offers("recipe"), *registry.offers("suite")):
        checked += 1
        try:
            read_recipe(registry, offer.qualified) if offer.kind == "recipe" else read_suite(offer.component)
        except EbError as error:
            faults += error.faults
    if as_json:
        plugins = {f"{plugin.distribution}/{plugin.name}": plugin.status for plugin in registry.plugins}
        slow = {plugin.module: plugin.seconds for plugin in registry.plugins if plugin.seconds > SLOW}
        print_json(
            {
                **facts,
                "plugins": plugins,
                "slow": slow,
                "checked": checked,
                "faults": [attrs.asdict(one) for one in faults],
            }
        )
    else:
        _show(registry, facts, checked, faults)
    if faults:
        raise typer.Exit(PluginError.exit_code)
    if not as_json:
        err.print(styled("[green]all is well[/]" if checked else "[yellow]no plugin is loaded[/]"))


def _show(registry: Registry, facts: dict[str, str], checked: int, faults: list[Fault]) -> None:
    for name, value in facts.items():
        out.print(f"{name:12} {value}")
    for plugin in registry.plugins:
        late = f", slow: loaded in {plugin.seconds:.1f} s" if plugin.seconds > SLOW else ""
        out.print(f"{'plugin':12} {plugin.distribution} {plugin.version}: {plugin.status}{late}")
    out.print(f"{'components':12} {checked} checked, {len(faults)} problems")
    for fault in faults:
        show_fault(fault)


def _load_faults(registry: Registry, kind: str, component: Any) -> list[Fault]:
    try:
        registry.load(kind, component)
    except EbError as error:
        return list(error.faults)
    return []


def _facts() -> dict[str, str]:
    facts = {
        "python": platform.python_version(),
        "eb-core": importlib.metadata.version("eb-core"),
        "plugin API": PLUGIN_API,
    }
    try:
        import torch

        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        facts["torch"] = f"{torch.__version__}, {torch.get_num_threads()} threads, {gpu}"
    except Exception as error:  # noqa: BLE001 - a damaged torch raises anything; to say so is this command's task
        facts["torch"] = f"cannot be used: {told(error)}"
    facts["kernels"] = _kernels()
    facts |= {name: value for name, value in sorted(os.environ.items()) if name.startswith("EB_")}
    return facts


def _kernels() -> str:
    """Which compiled kernels serve, or why none does."""
    if importlib.util.find_spec("eb_native") is None:
        return "none: pip install eb-native for faster convolutional nets"
    import eb_native

    return eb_native.KERNELS[0][1] if eb_native.KERNELS else f"none: {eb_native.REASON}"
