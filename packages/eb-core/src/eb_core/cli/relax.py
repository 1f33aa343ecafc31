"""`eb relax`: one batch, several dynamics, the same weights and the same start."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eb_core.cli.choices import Options, Trust, component_layer, layer_from_flags, names_of
from eb_core.cli.listing import AsJson
from eb_core.cli.render import err, guarded, out, print_json
from eb_core.cli.terminal import styled
from eb_core.registry import Configuration, EbError, Registry, SettingsLayer, UsageError, read_recipe
from eb_core.registry.errors import gathered, raise_if_any, raise_together
from eb_core.registry.recipes import TRAINER
from eb_core.registry.setup import Setup

if TYPE_CHECKING:
    from eb_core.data.data import Data
    from eb_core.network.network import Network

KINDS = ("model", "energy", "relaxer", "cost", "dataset", TRAINER)
OF_THE_RUN = ("model", "energy")


@guarded
def relax(
    context: typer.Context,
    run: Annotated[
        Path | None, typer.Argument(help="Run directory with trained weights; without it, fresh ones are drawn.")
    ] = None,
    relaxer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|NAME(KEY=VALUE,…)",
            help="A dynamics, with options in brackets; give several to compare them.",
            autocompletion=names_of("relaxer"),
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Network recipe.", autocompletion=names_of("model"))] = None,
    energy: Annotated[str | None, typer.Option(help="Physics of a unit.", autocompletion=names_of("energy"))] = None,
    cost: Annotated[str | None, typer.Option(help="Cost of the nudge.", autocompletion=names_of("cost"))] = None,
    dataset: Annotated[str | None, typer.Option(help="Where x comes from.", autocompletion=names_of("dataset"))] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help="Recipe name or FILE.toml.", autocompletion=names_of("recipe"))
    ] = None,
    model_opt: Options = None,
    energy_opt: Options = None,
    cost_opt: Options = None,
    dataset_opt: Options = None,
    beta: Annotated[
        float,
        typer.Option(min=-1e6, max=1e6, help="Nudge towards the targets this strongly; 0 settles the free phase."),
    ] = 0.0,
    steps: Annotated[int, typer.Option(min=1, max=1_000_000, help="Iterations of every relaxer.")] = 100,
    batch: Annotated[int, typer.Option(min=1, max=10**9, help="Samples: the first ones of the test split.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, max=10_000, help="Timed relaxations of each relaxer.")] = 3,
    seed: Annotated[str | None, typer.Option(metavar="N", help="Seed of fresh weights and of noise.")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64; below a residual of 1e-6 float64.")] = "float64",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …")] = None,
    threads: Annotated[str | None, typer.Option(metavar="N", help="CPU threads.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with data files.", envvar="EB_DATA_DIR")] = None,
    trust: Trust = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw energy and residual into FILE.svg or FILE.png.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Settle one batch with several dynamics; show what each reaches, in how many iterations and seconds.

    eb relax --relaxer hopfield --relaxer "gradient-flow(dt=.3)" --plot relax.svg
    """
    from eb_core.training.curves import check_plot

    registry: Registry = context.obj
    if not math.isfinite(beta):
        raise UsageError(f"beta must be finite, not {beta}", origin=f"--beta {beta}", advice="0 settles the free phase")
    if plot:
        check_plot(plot)
    names = {"model": model, "energy": energy, "cost": cost, "dataset": dataset}
    options = {"model": model_opt, "energy": energy_opt, "cost": cost_opt, "dataset": dataset_opt}
    settings = {"seed": seed, "dtype": dtype, "device": device, "threads": threads}
    flags, faults = layer_from_flags(names, options, settings)
    raise_if_any(faults)
    if run is not None:
        _refuse_beside_run(names, options, recipe)
    below, notes = _below(registry, run, recipe, flags, trust)
    made = _configurations(registry, below, flags, relaxer or [])
    _settle(registry, run, made, data_dir, dataset, trust, beta, (steps, batch, repeats), plot, as_json, notes)


def _refuse_beside_run(names: dict[str, str | None], options: dict[str, Any], recipe: list[str] | None) -> None:
    typed = [f"--{kind}" for kind in OF_THE_RUN if names[kind]]
    typed += [f"--{kind}-opt" for kind in OF_THE_RUN if options[kind]] + (["--recipe"] if recipe else [])
    if typed:
        raise UsageError(
            f"the weights of a run belong to its own model and energy; RUN does not go with {', '.join(typed)}",
            origin="RUN",
            advice="leave them out, or leave RUN out to draw fresh weights",
        )


def _below(
    registry: Registry, run: Path | None, recipe: list[str] | None, flags: SettingsLayer, trust: bool
) -> tuple[list[SettingsLayer], list[str]]:
    """What lies below the flags, and what is to be said of it."""
    if run is None:
        return [read_recipe(registry, one, trust=trust, typed=("eb", "relax")) for one in recipe or []], []
    from eb_core.training.preparation import prepared_as
    from eb_core.training.trained import written_recipe

    written = written_recipe(run, trust, ("eb", "relax"))
    dataset = flags.name_of("dataset")
    if dataset is None:
        return [written], []
    as_in_run, notes = prepared_as(run, dataset, flags, registry)
    return [written, as_in_run], notes


def _configurations(
    registry: Registry, below: Sequence[SettingsLayer], flags: SettingsLayer, relaxers: Sequence[str]
) -> dict[str, Configuration]:
    """What was typed for each relaxer -> everything resolved; all that is wrong is reported before any work starts."""
    from eb_core.training.prepare import configure

    errors: list[EbError] = []
    made: dict[str, Configuration] = {}
    for text in relaxers:
        with gathered(errors):
            if text in made:
                raise UsageError(f"'{text}' is given twice", origin="--relaxer", advice="give each once")
            made[text] = configure(registry, [*below, flags, component_layer("relaxer", text)], KINDS)
    if not relaxers:
        with gathered(errors):
            only = configure(registry, [*below, flags], KINDS)
            made[only.sections["relaxer"].name] = only
    unique = dict.fromkeys(fault for error in errors for fault in error.faults)
    raise_together([type(max(errors, key=lambda error: error.exit_code))(*unique)] if errors else [])
    return made


def _settle(
    registry: Registry,
    run: Path | None,
    made: dict[str, Configuration],
    data_dir: Path | None,
    dataset: str | None,
    trust: bool,
    beta: float,
    budget: tuple[int, int, int],
    plot: Path | None,
    as_json: bool,
    said: Sequence[str],
) -> None:
    from eb_core.diagnostics.measure import settle_amply
    from eb_core.diagnostics.side_by_side import side_by_side, with_budget
    from eb_core.learning.fit import notices
    from eb_core.settling.problem import Problem
    from eb_core.settling.state import State
    from eb_core.training.execute import threads as cpu_threads
    from eb_core.training.streams import stream

    first, (steps, batch, repeats) = next(iter(made.values())), budget
    settings, energy, cost = first[TRAINER], first["energy"], first["cost"]
    relaxers = {name: with_budget(one["relaxer"], steps) for name, one in made.items()}
    with cpu_threads(settings.threads), err.status("loading data") as status:
        data = _data(registry, run, first, data_dir, dataset, trust)
        network = _network(run, first, data)
        weight = next(network.parameters())
        rows = (data.test or data.train).x[:batch].to(weight)
        problem = Problem.free(network, energy, rows)
        start, said = problem.initial_state(), list(said)
        if beta:
            name, only = next(iter(made.items()))
            status.update(styled("{}: the free state that the nudged phase starts from", name))
            _, free = settle_amply(only["relaxer"], problem)
            start = State(free.state.units)
            said += [
                f"the nudged phase starts from the free state of {name}, residual {float(free.residual.max()):.1e}"
            ]
            labels = (data.test or data.train).y[:batch].to(weight.device)
            target = cost.encode(labels, data.classes, energy, weight.dtype)
            problem = problem.nudged(cost, target, beta)
        of_energy = notices(Setup(energy=energy, network=network))
        for name, one in relaxers.items():
            setup = Setup(energy=energy, relaxer=one, network=network)
            said += [f"{name}: {told}" for told in notices(setup) if told not in of_energy]
        ways = side_by_side(
            relaxers,
            problem,
            start,
            repeats=repeats,
            generator=lambda: stream(settings.seed, "settle", device=weight.device),
            watch=lambda what: status.update(styled("{}", what)),
        )
    facts = {
        "model": first.sections["model"].name if run is None else str(run),
        "energy": first.sections["energy"].name,
        "data": data.name,
        "samples": problem.batch,
        "beta": beta,
        "steps": steps,
        "repeats": repeats,
        "seed": settings.seed,
        "dtype": settings.dtype,
        "threads": settings.threads,
        "notes": [*of_energy, *said],
    }
    from eb_core.cli.relax_table import record, show

    if plot:
        from eb_core.cli.relax_plot import draw

        draw(ways, facts, plot)
    if as_json:
        print_json(record(ways, facts))
        return
    show(ways, facts)
    if plot:
        out.print(f"plot          {plot}")


def _data(
    registry: Registry,
    run: Path | None,
    made: Configuration,
    data_dir: Path | None,
    dataset: str | None,
    trust: bool,
) -> "Data":
    if run is not None and dataset is None:
        from eb_core.training.trained import load_run_data

        return load_run_data(run, data_dir=data_dir, registry=registry, trust=trust)
    loaded: Data = made["dataset"].load(data_dir)
    return loaded


def _network(run: Path | None, made: Configuration, data: "Data") -> "Network":
    import torch

    from eb_core.training.build import make_network
    from eb_core.training.runs import read_weights
    from eb_core.training.streams import stream

    settings = made[TRAINER]
    network = make_network(
        made["model"],
        made["energy"],
        data.input_shape,
        made["cost"].outputs(data.classes),
        generator=stream(settings.seed, "init"),
        device=settings.device,
        dtype=getattr(torch, settings.dtype),
    )
    if run is not None:
        read_weights(run, network)
    return network
