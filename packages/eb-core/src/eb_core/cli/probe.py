"""`eb doctor --probe`: asks the real device what it can do, and keeps it in a dated file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from eb_core.cli.choices import built
from eb_core.cli.render import out, print_json
from eb_core.cli.terminal import styled
from eb_core.registry import EbError, Registry, RunError, UsageError
from eb_core.registry.commands import command
from eb_core.registry.wording import told

if TYPE_CHECKING:
    from eb_core.device.backend import DeviceBackend
    from eb_core.device.capabilities import Capabilities


def probe_device(
    registry: Registry, name: str | None, options: list[str] | None, file: Path | None, as_json: bool
) -> None:
    """Probe a device, write the file, and say how to use it.

    Args:
        registry: where backends are looked up.
        name: of the backend; None for the only one that can be probed.
        options: `key=value` pairs that say how to reach it.
        file: where to write; None for a name of backend, serial number and date.
        as_json: print what was measured as JSON instead.

    Raises:
        UsageError: there is no such device, it measures nothing, or the file exists.
        RunError: the device failed.
    """
    from eb_core.device.capabilities import described, written

    name = name or _only(registry)
    backend = _device(registry, name, options)
    found = _probed(backend, name)
    if file is None:
        parts = (name.rpartition(":")[2].rpartition("/")[2], found.serial, found.dated[:10])
        plain = ("".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in part) for part in parts if part)
        file = Path("-".join(plain) + ".toml")
    _write(file, f"# what eb doctor --probe found of {name}\n{written(found)}")
    again = command("eb", "train", "--backend", name, *_typed(options), "--backend-opt", f"probed={file}")
    if as_json:
        values = {key: value for key, value, _ in described(found)}
        print_json({"backend": name, "file": str(file), "capabilities": values, "again": again})
        return
    out.print(styled("[bold]{}[/]", name))
    for key, value, _ in described(found):
        out.print(f"{key:16} {value}")
    out.print()
    out.print(f"written       {file}")
    out.print(f"use it        {again}")


def _typed(options: list[str] | None) -> list[str]:
    return [word for option in options or () for word in ("--backend-opt", option)]


def _measures(cls: type) -> bool:
    from eb_core.device.backend import DeviceBackend

    return issubclass(cls, DeviceBackend) and cls.probe is not DeviceBackend.probe


def _only(registry: Registry) -> str:
    """The device that is meant where none is named."""
    able = []
    for offer in registry.offers("backend"):
        try:
            if _measures(registry.load("backend", offer.component)):
                able.append(offer.component.name)
        except EbError:
            continue  # eb doctor tells of it
    if len(able) != 1:
        raise UsageError(
            f"there are {len(able)} devices that can be probed" if able else "no installed backend can be probed",
            origin="--probe",
            advice=f"name one: {', '.join(able)}" if able else "install the package of the device, or ask its author",
        )
    return able[0]


def _device(registry: Registry, name: str, options: list[str] | None) -> "DeviceBackend":
    backend: DeviceBackend = built(registry, "backend", name, options)
    if not _measures(type(backend)):
        raise UsageError(
            f"backend '{name}' measures nothing: there is nothing that its capabilities do not say already",
            origin=f"--probe {name}",
            advice=command("eb", "describe", "backend", name) + " shows them; its author may write DeviceBackend.probe",
        )
    return backend


def _probed(backend: "DeviceBackend", name: str) -> "Capabilities":
    """What the device says, with a date."""
    from eb_core.device.capabilities import Capabilities

    try:
        found = backend.probe()
    except EbError:
        raise
    except Exception as error:
        raise RunError(
            f"{name} cannot be probed: {told(error)}", origin="the device", advice="is it on, and is it free?"
        ) from error
    if not isinstance(found, Capabilities):
        raise RunError(
            f"{name} cannot be probed: probe gave a {type(found).__name__}, expected are Capabilities",
            origin="the device",
            advice="tell the author of the backend",
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    dated: Capabilities = attrs.evolve(found, dated=found.dated or now)  # type: ignore[misc]
    return dated


def _write(file: Path, text: str) -> None:
    """Write a new file; what is there already stays."""
    try:
        with file.open("x", encoding="utf-8") as made:
            made.write(text)
    except FileExistsError:
        raise UsageError(
            f"{file} exists, and is not overwritten", origin="--out", advice="give another file: --out FILE.toml"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror or error}",
            origin="--out",
            advice="give a file in a folder that you may write to: --out FILE.toml",
        ) from None
