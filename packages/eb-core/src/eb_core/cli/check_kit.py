"""`eb check KIND:NAME`: one component and all that it promises, check by check, and its certificate as a file."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import typer
from rich.text import Text

from eb_core.cli.choices import built
from eb_core.cli.render import err, out, print_json, table
from eb_core.cli.terminal import styled
from eb_core.registry import KINDS, Registry, UsageError, did_you_mean

if TYPE_CHECKING:
    from eb_core.device.backend import DeviceBackend
    from eb_core.testing import Report, Suite
    from eb_core.testing.report import CheckResult

WITH: Final[Mapping[str, Sequence[str]]] = {
    "backend": ("energy", "relaxer"),
    "relaxer": ("energy",),
    "rule": ("relaxer", "energy", "cost"),
    "cost": ("energy",),
}
"""Other parts that a component of a kind is checked with, which a user may choose."""


@attrs.frozen
class Asked:
    """What a command line asks for.

    Args:
        registry: where components come from.
        names: kind -> name, of all that are named; options: kind -> `key=value` pairs, likewise.
        others: further flags that were given, which have nothing to do with it.
        data_dir: folder of data files.
    """

    registry: Registry
    names: Mapping[str, str | None]
    options: Mapping[str, Any]
    others: Sequence[str] = ()
    data_dir: Path | None = None

    def part(self, kind: str) -> Any:
        """The part of this kind, or None where nobody says one."""
        if not (self.names.get(kind) or self.options.get(kind)):
            return None
        return built(self.registry, kind, self.names.get(kind), self.options.get(kind))


def subject_of(text: str) -> tuple[str, str]:
    """(kind, name) of KIND:NAME.

    Raises:
        UsageError: it has another form, or there is no such kind.
    """
    kind, colon, name = text.partition(":")
    if not colon or not name:
        raise UsageError(f"'{text}' is not KIND:NAME", origin="eb check", advice="such as relaxer:hopfield")
    if kind not in KINDS:
        known = did_you_mean(kind, KINDS) or f"one of {', '.join(KINDS)}"
        raise UsageError(f"there is no kind '{kind}'", origin=f"eb check {text}", advice=known)
    return kind, name


def check_component(asked: Asked, kind: str, certificate: Path | None, as_json: bool) -> None:
    """Run every check, print what it found, and write the certificate.

    Args:
        asked: the component, named by its kind, and the parts that it is checked with.
        kind: of the component.
        certificate: file for the certificate, or None.
        as_json: print the certificate instead of a table.

    Raises:
        typer.Exit: with 1 where a check failed, or none applied.
        UsageError: a part is missing or does not fit, or other flags are in the way.
    """
    if not asked.names.get(kind):
        raise UsageError("no component is named", origin="eb check", advice="KIND:NAME, such as relaxer:hopfield")
    given = [one for one in asked.names if one != kind and (asked.names[one] or asked.options.get(one))]
    others = [*(one for one in given if one not in WITH.get(kind, ())), *asked.others]
    if others:
        allowed = " and ".join(f"--{one}" for one in WITH.get(kind, ())) or "nothing else"
        raise UsageError(
            f"a {kind} is checked with {allowed}",
            origin=" ".join(f"--{other}" for other in others),
            advice="leave it out; without KIND:NAME eb check measures a rule with a dynamics",
        )
    if certificate is not None:
        _require_place(certificate)
    component = asked.part(kind)
    with err.status("checking") as status:
        found = _report(asked, kind, component, lambda name: status.update(styled("checking {}", name)))
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


def _report(asked: Asked, kind: str, component: Any, before: Callable[[str], None]) -> "Report":
    from eb_core.testing import report_on
    from eb_core.testing.device_bench import IDEAL, Bench
    from eb_core.testing.device_checks import certify, energy_for

    if kind == "backend":
        _require_device(component, asked.names[kind])
        if component.own_dynamics and (asked.names.get("relaxer") or asked.options.get("relaxer")):
            raise UsageError(
                f"{type(component).__name__} settles by itself",
                origin="--relaxer",
                advice="leave it out: none takes part",
            )
        relaxer = asked.part("relaxer")
        energy = asked.part("energy") or energy_for(asked.registry, component)
        return certify(Bench(component, energy, relaxer=relaxer or IDEAL, registry=asked.registry), before)
    parts = {one: part for one in WITH.get(kind, ()) if (part := asked.part(one)) is not None}
    facts = {one: str(part) for one, part in parts.items()}
    return report_on(kind, component, _suite(kind, component, parts, asked.data_dir), facts, before)


def _suite(kind: str, component: Any, parts: Mapping[str, Any], data_dir: Path | None) -> "Suite":
    from eb_core import testing

    if kind == "dataset":
        return testing.dataset_suite(component, data_dir)
    suites: Mapping[str, Callable[..., Suite]] = {
        "relaxer": testing.relaxer_suite,
        "energy": testing.energy_suite,
        "rule": testing.rule_suite,
        "model": testing.model_suite,
        "cost": testing.cost_suite,
    }
    return suites[kind](component, **parts)


def _require_place(certificate: Path) -> None:
    """Refuse a file that could not be written, before anything is checked."""
    if certificate.is_dir():
        raise UsageError(f"{certificate} is a directory", origin="--certificate", advice="name a file")
    if not certificate.absolute().parent.is_dir():
        raise UsageError(
            f"there is no directory {certificate.absolute().parent}", origin="--certificate", advice="make it first"
        )


def _require_device(backend: "DeviceBackend", name: str | None) -> None:
    from eb_core.device.backend import DeviceBackend

    if not isinstance(backend, DeviceBackend):
        raise UsageError(
            f"{type(backend).__name__} is no device that settles by itself, so it declares nothing to check",
            origin=f"backend {name}",
            advice="eb check relaxer:NAME checks what is simulated",
        )


_COLOURS = {"passed": "green", "failed": "bold red", "skipped": "dim", "measured": "cyan"}


def _show(found: "Report") -> None:
    from eb_core.testing.report import OWN

    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    beside = "".join(f" with {found.facts[kind]}" for kind in ("relaxer", "energy", "cost") if kind in found.facts)
    out.print(styled("[bold]{}[/]{}  [dim]{}; {}[/]", found.subject, beside, found.date, versions))
    dynamics = found.facts.get("dynamics", OWN)
    if dynamics != OWN:
        out.print(styled("[dim]settled by {}[/]", dynamics))
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


def _told(one: "CheckResult") -> Text:
    """The promise, and in the verdict's colour what was found of it, a line for each figure."""
    colour = "red" if one.verdict == "failed" else "dim"
    lines = [styled(f"[{colour}]{{}}[/]", line) for line in one.text.splitlines()]
    if len(lines) == 1 and one.verdict != "failed":
        return Text("; ").join([styled("{}", one.promise), *lines])
    return Text("\n").join([styled("{}", one.promise), *lines])
