"""`eb check --backend NAME`: a device against its own declaration, check by check, and its certificate as a file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from eb_core.cli.choices import built
from eb_core.cli.render import err, out, print_json, table
from eb_core.cli.terminal import styled
from eb_core.registry import Registry, UsageError

if TYPE_CHECKING:
    from eb_core.device.backend import DeviceBackend
    from eb_core.physics.energy import Energy
    from eb_core.settling.relaxer import Relaxer
    from eb_core.testing.device_report import Certificate, DeviceCheck


def check_device(
    registry: Registry,
    names: Mapping[str, str | None],
    options: Mapping[str, Any],
    others: Sequence[str],
    certificate: Path | None,
    as_json: bool,
) -> None:
    """Run every check, print what it found, and write the certificate.

    Args:
        registry: where backend, energy and relaxer come from.
        names: kind -> name, of backend, energy and relaxer.
        options: kind -> `key=value` pairs, likewise.
        others: flags that were given and have nothing to do with a device.
        certificate: file for the certificate, or None.
        as_json: print the certificate instead of a table.

    Raises:
        typer.Exit: with 1 where a check failed, or none applied.
        UsageError: no backend is named, it is no device, no energy is for it, or other flags are in the way.
    """
    from eb_core.testing.device_bench import IDEAL, Bench
    from eb_core.testing.device_checks import certify, energy_for

    if names["backend"] is None:
        raise UsageError("no device is named", origin="eb check", advice="--backend NAME")
    if others:
        raise UsageError(
            "a device is checked with its physics alone",
            origin=" ".join(f"--{kind}" for kind in others),
            advice="leave it out: the gradient of a device is made by centred EP with squared error, on small nets",
        )
    if certificate is not None:
        _require_place(certificate)
    backend = _device(registry, names["backend"], options["backend"])
    named = {kind: names[kind] or options[kind] for kind in ("energy", "relaxer")}
    if named["relaxer"] and backend.own_dynamics:
        raise UsageError(
            f"{type(backend).__name__} settles by itself", origin="--relaxer", advice="leave it out: none takes part"
        )

    def made(kind: str) -> Any:
        return built(registry, kind, names[kind], options[kind])

    energy: Energy = made("energy") if named["energy"] else energy_for(registry, backend)
    relaxer: Relaxer = made("relaxer") if named["relaxer"] else IDEAL
    with err.status("checking") as status:
        bench = Bench(backend, energy, relaxer=relaxer, registry=registry)
        found = certify(bench, before=lambda name: status.update(styled("checking {}", name)))
    if certificate is not None:
        certificate.write_text(json.dumps(found.record(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if as_json:
        print_json(found.record())
    else:
        _show(found)
        if certificate is not None:
            out.print(styled("certificate: {}", str(certificate)))
    if not found.holds:
        raise typer.Exit(1)


def _require_place(certificate: Path) -> None:
    """Refuse a file that could not be written, before a device is used for it."""
    if certificate.is_dir():
        raise UsageError(f"{certificate} is a directory", origin="--certificate", advice="name a file")
    if not certificate.absolute().parent.is_dir():
        raise UsageError(
            f"there is no directory {certificate.absolute().parent}", origin="--certificate", advice="make it first"
        )


def _device(registry: Registry, name: str | None, options: Any) -> "DeviceBackend":
    from eb_core.device.backend import DeviceBackend

    backend = built(registry, "backend", name, options)
    if not isinstance(backend, DeviceBackend):
        raise UsageError(
            f"{type(backend).__name__} is no device that settles by itself, so it declares nothing to check",
            origin=f"--backend {name}",
            advice="eb check --relaxer NAME measures what is simulated",
        )
    return backend


_COLOURS = {"passed": "green", "failed": "bold red", "skipped": "dim", "measured": "cyan"}


def _show(found: "Certificate") -> None:
    from eb_core.testing.device_report import OWN

    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    out.print(styled("[bold]{}[/] with {}  [dim]{}; {}[/]", found.device, found.energy, found.date, versions))
    if found.dynamics != OWN:
        out.print(styled("[dim]settled by {}[/]", found.dynamics))
    out.print()
    rows = table("check", "verdict", "cases", "what is checked, and what was found")
    rows.columns[0].no_wrap = rows.columns[1].no_wrap = True
    rows.columns[2].justify = "right"
    for one in found.checks:
        verdict = styled(f"[{_COLOURS[one.verdict]}]{{}}[/]", one.verdict)
        rows.add_row(one.name, verdict, str(one.cases) if one.cases else "", _told(one))
    out.print(rows)
    out.print()
    failed, counts = found.of("failed"), {kind: len(found.of(kind)) for kind in ("passed", "skipped", "measured")}
    state = "[bold green]none failed[/]" if not failed else f"[bold red]{len(failed)} failed[/]"
    if not failed and not counts["passed"]:
        state = "[bold red]none applied[/]"
    others = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    seconds = sum(one.seconds for one in found.checks)
    out.print(styled(f"{len(found.checks)} checks, {found.cases:,} cases: {state}, {others}; {seconds:.0f} s"))


def _told(one: "DeviceCheck") -> Text:
    """The promise, and in the verdict's colour what was found of it, a line for each figure."""
    colour = "red" if one.verdict == "failed" else "dim"
    lines = [styled(f"[{colour}]{{}}[/]", line) for line in one.text.splitlines()]
    if len(lines) == 1 and one.verdict != "failed":
        return Text.assemble(one.promise, "; ", lines[0])
    return Text("\n").join([Text(one.promise), *lines])
