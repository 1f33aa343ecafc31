"""`eb train`: from names, options and recipes to a run directory."""

import contextlib
import functools
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer
from rich.text import Text

from eb_core.cli.choices import Lossy, Options, Trust, layer_from_flags, lossy, names_of
from eb_core.cli.render import err, guarded, out, print_json
from eb_core.cli.streams import excuse_lost_stdout
from eb_core.cli.terminal import Terminal, styled
from eb_core.registry import Configuration, EbError, Registry, UsageError, read_recipe
from eb_core.registry.errors import gathered, raise_together
from eb_core.registry.recipes import TRAINER

if TYPE_CHECKING:
    from eb_core.training.execute import TrainingResult

WITH_RESUME = ("resume", "take_over", "data_dir", "predictions", "as_json", "trust")
"""What may be typed beside --resume: nothing that would change the run."""


@guarded
def train(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Network recipe.", autocompletion=names_of("model"))] = None,
    energy: Annotated[str | None, typer.Option(help="Physics of a unit.", autocompletion=names_of("energy"))] = None,
    relaxer: Annotated[str | None, typer.Option(help="How it settles.", autocompletion=names_of("relaxer"))] = None,
    rule: Annotated[str | None, typer.Option(help="How it learns.", autocompletion=names_of("rule"))] = None,
    cost: Annotated[str | None, typer.Option(help="What it minimises.", autocompletion=names_of("cost"))] = None,
    dataset: Annotated[str | None, typer.Option(help="What it learns.", autocompletion=names_of("dataset"))] = None,
    backend: Annotated[str | None, typer.Option(help="Where it settles.", autocompletion=names_of("backend"))] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="Recipe name or FILE.toml; later ones lie over earlier ones.", autocompletion=names_of("recipe")
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Begin with the settings and the weights of this run."),
    ] = None,
    model_opt: Options = None,
    energy_opt: Options = None,
    relaxer_opt: Options = None,
    rule_opt: Options = None,
    cost_opt: Options = None,
    dataset_opt: Options = None,
    backend_opt: Options = None,
    trainer_opt: Options = None,
    epochs: Annotated[str | None, typer.Option(metavar="N", help="Passes over the training data.")] = None,
    batch_size: Annotated[str | None, typer.Option(metavar="N", help="Samples per gradient.")] = None,
    lr: Annotated[str | None, typer.Option(metavar="RATE", help="Learning rate.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.")] = None,
    threads: Annotated[str | None, typer.Option(metavar="N", help="CPU threads.")] = None,
    device_seconds: Annotated[
        str | None, typer.Option(metavar="N", help="Stop after so much device time, with a checkpoint.")
    ] = None,
    allow_lossy: Lossy = False,
    seed: Annotated[str | None, typer.Option(metavar="N", help="Seed of every random stream.")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=10_000, help="Train so many seeds, one after the other: mean ± std.")
    ] = 1,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with data files.", envvar="EB_DATA_DIR")] = None,
    output: Annotated[str, typer.Option("--out", metavar="FOLDER", help="Folder for run directories.")] = "runs",
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with the run in this directory, with its own settings; no others."),
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="With --resume: though another host says that it writes the run.")
    ] = False,
    trust: Trust = False,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="Also write predictions.npz: read-outs of the test split.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show every setting and its origin, then stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Train a network and write a run directory. Without arguments: an MLP learns handwritten digits.

    eb train --relaxer gradient-flow --relaxer-opt dt=.3 --epochs 5
    """
    from eb_core.training.api import run_training
    from eb_core.training.prepare import configure
    from eb_core.training.runs import Run
    from eb_core.training.start import Start

    registry: Registry = context.obj
    if resume is not None:
        _refuse_settings(context)
        report = _resumed(registry, resume, trust, take_over, data_dir, predictions, as_json)
        if as_json:
            print_json(report)
        return
    if take_over:
        raise UsageError("--take-over is for a run that goes on", origin="--take-over", advice="add --resume RUN")
    names = {"model": model, "energy": energy, "relaxer": relaxer, "rule": rule, "cost": cost}
    names |= {"dataset": dataset, "backend": backend}
    options = {"model": model_opt, "energy": energy_opt, "relaxer": relaxer_opt, "rule": rule_opt, "cost": cost_opt}
    options |= {"dataset": dataset_opt, "backend": lossy(backend_opt, allow_lossy), TRAINER: trainer_opt}
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "device": device, "dtype": dtype}
    settings |= {"threads": threads, "seed": seed, "device_seconds": device_seconds}
    flags, faults = layer_from_flags(names, options, settings)
    errors: list[EbError] = [UsageError(*faults)] if faults else []
    begun = None if start is None else Start.of(start, trust=trust)
    layers = [begun.recipe] if begun else []
    for one in recipe or []:
        with gathered(errors):
            layers.append(read_recipe(registry, one, trust=trust))
    if not dry_run:
        with gathered(errors):
            Run.check_folder(output)
    with gathered(errors):
        configuration = configure(registry, [*layers, flags], start=begun)
        runs = [_with_seed(configuration, index) for index in range(seeds)]
    raise_together(errors)
    if dry_run:
        from eb_core.cli.dry_run import show_configuration

        show_configuration(configuration, begun, as_json)
        return
    results = []
    for seeded in runs:
        work = functools.partial(
            run_training, seeded, registry, start=begun, data_dir=data_dir, out=output, predictions=predictions
        )
        results.append(_shown(seeded, work, data_dir, as_json, begun.told if begun else ""))
    summary = _over_seeds(results)
    if as_json:
        print_json(results[0] if seeds == 1 else {"runs": results, **summary})
    elif seeds > 1 and summary:
        accuracy = f"{summary['mean']:.2%} ± {summary['std']:.2%}"
        _say(lambda to: to.print(styled("\n[bold]test accuracy {}[/] over {} seeds (mean ± std)", accuracy, seeds)))


def _refuse_settings(context: typer.Context) -> None:
    """A run that goes on has its settings already."""
    flags = {"output": "--out", "start": "--from"}
    typed = [
        flags.get(name, f"--{name.replace('_', '-')}")
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE" and name not in WITH_RESUME
    ]
    if typed:
        raise UsageError(
            f"--resume goes on with the settings of the run; it does not go with {', '.join(typed)}",
            origin="--resume",
            advice="leave them out, or start a new run: eb train --recipe RUN/recipe.toml …",
        )


def _resumed(
    registry: Registry,
    path: Path,
    trust: bool,
    take_over: bool,
    data_dir: Path | None,
    predictions: bool,
    as_json: bool,
) -> Any:
    from eb_core.training.resume import find_stopped, go_on

    with find_stopped(path, registry, trust=trust, take_over=take_over) as stopped:
        configuration = attrs.evolve(stopped.configuration, notes=stopped.differences)
        at = stopped.position
        (err if as_json else out).print(
            f"going on with {path} after epoch {at['epochs']}, batch {at['batches']} of the next"
        )
        work = functools.partial(go_on, stopped, data_dir=data_dir, predictions=predictions)
        return _shown(configuration, work, data_dir, as_json)


def _shown(
    configuration: Configuration,
    work: "Callable[..., TrainingResult]",
    data_dir: Path | None,
    as_json: bool,
    begins_with: str = "",
) -> Any:
    """Do `work` while the progress is shown; its report."""
    from eb_core.cli.progress import TrainingView, show_summary

    console = err if as_json else out
    settings = configuration[TRAINER]
    parts = {kind: section.name for kind, section in configuration.chosen.items() if kind != TRAINER}
    headed = [styled("[dim]{}[/] [cyan]{}[/]", kind, name) for kind, name in parts.items()]
    headed.append(styled("[dim]seed[/] {}", settings.seed))
    headed += [styled("[dim]from[/] {}", begins_with)] if begins_with else []
    for note in configuration.notes:
        console.print(styled("[yellow]note:[/] {}", note))
    quiet = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with quiet, TrainingView(console, settings.epochs, Text("  ").join(headed)) as view:
        result = work(observers=[view])
    _say(lambda to: show_summary(to, result, data_dir), console)
    return {
        "run": str(result.path),
        "seed": settings.seed,
        "best_epoch": result.best_epoch,
        "test": attrs.asdict(result.test) if result.test else None,
        "epochs": [report.record() for report in result.reports],
    }


def _say(show: Callable[[Terminal], None], console: Terminal = out) -> None:
    """The outcome of a training; on stderr where stdout has been lost, since the training itself went well."""
    show(console)
    lost = excuse_lost_stdout() if console is out else None
    if lost:
        err.print(styled("[yellow]note:[/] stdout cannot be written ({}); this is what would be there:", lost))
        show(err)


def _with_seed(configuration: Configuration, index: int) -> Configuration:
    """The same run with the seed that is `index` higher."""
    section = configuration.sections[TRAINER]
    seed = section.instance.seed + index
    try:
        instance = attrs.evolve(section.instance, seed=seed)
    except ValueError as error:
        raise UsageError(str(error), origin="--seeds", advice="begin with a lower seed") from None
    values = {**section.values, "seed": (seed, section.values["seed"][1])}
    changed = attrs.evolve(section, values=values, instance=instance)
    return attrs.evolve(configuration, sections={**configuration.sections, TRAINER: changed})


def _over_seeds(results: list[Any]) -> dict[str, float]:
    accuracies = [result["test"]["accuracy"] for result in results if result["test"]]
    if not accuracies:
        return {}
    std = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    return {"mean": statistics.mean(accuracies), "std": std}
