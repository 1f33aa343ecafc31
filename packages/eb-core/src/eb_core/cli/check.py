"""`eb check`: measure dynamics and rules on small random nets, and say which promises hold."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from eb_core.cli.choices import Options, layer_from_flags, names_of
from eb_core.cli.listing import AsJson
from eb_core.cli.render import err, guarded, out, print_json
from eb_core.cli.terminal import styled
from eb_core.registry import Configuration, Registry, UsageError, resolve_layers
from eb_core.registry.errors import raise_if_any
from eb_core.registry.setup import Setup

if TYPE_CHECKING:
    from eb_core.diagnostics.measure import Finding
    from eb_core.diagnostics.truncated import Truncation
    from eb_core.diagnostics.well_conditioned import Nets


@guarded
def check(
    context: typer.Context,
    subject: Annotated[
        str | None,
        typer.Argument(metavar="[KIND:NAME]", help="One component, and all that it promises.", show_default=False),
    ] = None,
    relaxer: Annotated[str | None, typer.Option(help="Dynamics to check.", autocompletion=names_of("relaxer"))] = None,
    energy: Annotated[str | None, typer.Option(help="Physics.", autocompletion=names_of("energy"))] = None,
    rule: Annotated[str | None, typer.Option(help="Rule to check.", autocompletion=names_of("rule"))] = None,
    cost: Annotated[str | None, typer.Option(help="Cost.", autocompletion=names_of("cost"))] = None,
    model: Annotated[
        str | None, typer.Option(help="Nets of this model instead of random wirings.", autocompletion=names_of("model"))
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="Device to check: the same as backend:NAME.", autocompletion=names_of("backend")),
    ] = None,
    relaxer_opt: Options = None,
    energy_opt: Options = None,
    rule_opt: Options = None,
    cost_opt: Options = None,
    model_opt: Options = None,
    backend_opt: Options = None,
    dataset_opt: Options = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with data files.", envvar="EB_DATA_DIR")] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Every relaxer on every energy it fits, with the default rule; every rule with one relaxer."
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw error against beta, and EP beside BPTT, into this .svg or .png file.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Write what was found of KIND:NAME into this JSON file.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure residual, stationarity, descent, EP against truncated BPTT, and the rule against the exact gradient.

    Rule and dynamics are judged settled to the end, and at the options that they train with. Exit code 1 if a promise
    does not hold. Without options: the default relaxer and rule. With KIND:NAME: every promise of one component, a
    device against its own declaration.
    """
    from eb_core.training.curves import check_plot

    names = {"relaxer": relaxer, "energy": energy, "rule": rule, "cost": cost, "model": model}
    options = {"relaxer": relaxer_opt, "energy": energy_opt, "rule": rule_opt, "cost": cost_opt, "model": model_opt}
    registry: Registry = context.obj
    if subject or backend or backend_opt or certificate or dataset_opt:
        from eb_core.cli.check_kit import Asked, check_component, subject_of

        kind, name = subject_of(subject) if subject else ("backend", backend)
        if subject and {**names, "backend": backend}.get(kind):
            raise UsageError(f"two components of kind {kind} are named", origin=f"{subject} --{kind}")
        all_names = {**names, "backend": backend, "dataset": None, kind: name}
        all_options = {**options, "backend": backend_opt, "dataset": dataset_opt}
        flags = [flag for flag, said in {"all": everything, "plot": plot}.items() if said]
        check_component(Asked(registry, all_names, all_options, flags, data_dir), kind, certificate, as_json)
        return
    if plot:
        check_plot(plot)
    jobs = list(_jobs(registry, names, options, everything))
    report = Report()
    with err.status("checking") as status:
        for made, parts in jobs:
            names_made = (made.sections[kind].name for kind in ("rule", "relaxer", "energy"))
            status.update(styled("checking {} {} {}", *names_made))
            report.add(made, parts)
    if plot:
        from eb_core.cli.check_plot import draw

        draw(report.findings, report.curves, plot)
    if as_json:
        print_json(report.record())
    else:
        from eb_core.cli.check_table import show

        show(report.findings, report.seconds)
        holds = report.judged and not report.broken
        state = "[bold green]all hold[/]" if holds else f"[bold red]{report.broken} broken[/]"
        others, seconds = len(report.findings) - report.judged, sum(report.seconds.values())
        out.print(styled(f"{report.judged} promises judged: {state}; {others} figures reported, {seconds:.0f} s"))
    if report.broken or not report.judged:
        raise typer.Exit(1)


OUTPUTS = 3
"""Of the nets that are measured."""

Job = tuple[Configuration, tuple[str, ...]]
"""The parts to measure, and what of them: `relaxer`, `rule` or both."""


def _jobs(
    registry: Registry, names: Mapping[str, str | None], options: Mapping[str, Any], everything: bool
) -> Iterator[Job]:
    kinds = ["energy", "relaxer", "rule", "cost", *(["model"] if names["model"] else [])]

    def made(**chosen: str) -> Configuration:
        layer, faults = layer_from_flags({**names, **chosen}, options, {})
        raise_if_any(faults)
        configuration, faults = resolve_layers(registry, [layer], kinds)
        raise_if_any(faults)
        units = configuration["cost"].outputs(OUTPUTS)
        if units != OUTPUTS:
            what = f"the nets that are measured have {OUTPUTS} outputs, this cost wants {units} for as many classes"
            raise UsageError(what, origin="--cost-opt", advice="check a cost with one output for each class")
        return configuration

    from eb_core.learning.fit import misfit

    if not everything:
        parts = [kind for kind, other in (("relaxer", "rule"), ("rule", "relaxer")) if names[kind] or not names[other]]
        yield made(), tuple(parts)
        return
    first = {kind: made().sections[kind].name for kind in ("relaxer", "rule")}
    relaxers = [names["relaxer"]] if names["relaxer"] else registry.names("relaxer")
    for energy in [names["energy"]] if names["energy"] else registry.names("energy"):
        for relaxer in relaxers:
            pair = made(relaxer=relaxer, energy=energy, rule=names["rule"] or first["rule"])
            if misfit(Setup(energy=pair["energy"], relaxer=pair["relaxer"])) is None:
                yield pair, ("relaxer", "rule")
    for rule in [] if names["rule"] else registry.names("rule"):
        if rule != first["rule"]:
            yield made(relaxer=first["relaxer"], rule=rule), ("rule",)


@attrs.define
class Report:
    """What has been measured so far.

    Args:
        curves: EP and truncated BPTT along the nudged phase.
        seconds: what each part took, by subject.
        problems: the nets of each energy, chosen once.
    """

    findings: list["Finding"] = attrs.field(factory=list)
    curves: list["Truncation"] = attrs.field(factory=list)
    seconds: dict[str, float] = attrs.field(factory=dict)
    problems: dict[str, "Nets"] = attrs.field(factory=dict)

    def add(self, made: Configuration, parts: tuple[str, ...]) -> None:
        """Measure one combination."""
        from eb_core.diagnostics.as_trained import measure_as_trained
        from eb_core.diagnostics.measure import measure_relaxer, measure_rule
        from eb_core.diagnostics.truncated import measure_truncated
        from eb_core.diagnostics.well_conditioned import nets

        relaxer, energy, cost = made["relaxer"], made["energy"], made["cost"]
        if repr(energy) not in self.problems:
            self.problems[repr(energy)] = nets(energy, made["model"] if "model" in made.sections else None)
        problems = self.problems[repr(energy)]
        name = f"{made.sections['relaxer'].name} on {made.sections['energy'].name}"
        if "relaxer" in parts:
            started = time.perf_counter()
            found = measure_relaxer(name, relaxer, energy, problems)
            compared, curves = measure_truncated(name, relaxer, energy, cost, problems)
            self.findings += dict.fromkeys([*found, *compared])
            self.curves += curves
            if "rule" not in parts:
                self.findings += measure_as_trained(f"relaxer {name}", made["rule"], relaxer, energy, cost, problems)
            self.seconds[f"relaxer {name}"] = time.perf_counter() - started
        if "rule" in parts:
            started = time.perf_counter()
            name = f"{made.sections['rule'].name} with {name}"
            self.findings += measure_rule(name, made["rule"], relaxer, energy, cost, problems)
            self.findings += measure_as_trained(f"rule {name}", made["rule"], relaxer, energy, cost, problems)
            self.seconds[f"rule {name}"] = time.perf_counter() - started

    @property
    def judged(self) -> int:
        """Number of promises among the findings."""
        return sum(one.holds is not None for one in self.findings)

    @property
    def broken(self) -> int:
        """Number of promises that do not hold."""
        return sum(one.holds is False for one in self.findings)

    def record(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "judged": self.judged,
            "broken": self.broken,
            "findings": [attrs.asdict(one) for one in self.findings],
            "truncated": [attrs.asdict(one) for one in self.curves],
            "seconds": self.seconds,
        }
