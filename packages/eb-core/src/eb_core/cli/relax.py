"""`eb relax`: one batch, several dynamics, the same weights and the same start; or a device that settles it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from eb_core.cli.choices import Lossy, Options, Trust, component_layer, layer_from_flags, lossy, names_of
from eb_core.cli.listing import AsJson
from eb_core.cli.relax_batch import Asked
from eb_core.cli.render import guarded
from eb_core.registry import Configuration, EbError, Registry, SettingsLayer, UsageError, read_recipe
from eb_core.registry.errors import gathered, raise_if_any, raise_together
from eb_core.registry.recipes import TRAINER

KINDS = ("model", "energy", "relaxer", "cost", "dataset", TRAINER)
OF_THE_RUN = ("model", "energy")
OF_A_SIMULATION = {"steps": "a device has no iterations", "plot": "a device leaves no curve to draw"}
"""Flags that make no sense where a device settles, and why."""


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
    backend: Annotated[
        str | None,
        typer.Option(help="A device that settles it, in place of simulations.", autocompletion=names_of("backend")),
    ] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help="Recipe name or FILE.toml.", autocompletion=names_of("recipe"))
    ] = None,
    model_opt: Options = None,
    energy_opt: Options = None,
    cost_opt: Options = None,
    dataset_opt: Options = None,
    backend_opt: Options = None,
    allow_lossy: Lossy = False,
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

    With --backend, or a run of a device: let the device settle it, and show settles and device time.

    eb relax --relaxer hopfield --relaxer "gradient-flow(dt=.3)" --plot relax.svg
    """
    from eb_core.training.curves import check_plot

    registry: Registry = context.obj
    if not math.isfinite(beta):
        raise UsageError(f"beta must be finite, not {beta}", origin=f"--beta {beta}", advice="0 settles the free phase")
    if plot:
        check_plot(plot)
    names = {"model": model, "energy": energy, "cost": cost, "dataset": dataset, "backend": backend}
    options = {"model": model_opt, "energy": energy_opt, "cost": cost_opt, "dataset": dataset_opt}
    options["backend"] = lossy(backend_opt, allow_lossy)
    settings = {"seed": seed, "dtype": dtype, "device": device, "threads": threads}
    flags, faults = layer_from_flags(names, options, settings)
    raise_if_any(faults)
    if run is not None:
        _refuse_beside_run(names, options, recipe)
    below, notes = _below(registry, run, recipe, flags, trust)
    backend = _device(below, flags, bool(relaxer), notes)
    if backend is not None:
        _refuse_of_a_simulation(context, backend)
    made = _configurations(registry, below, flags, relaxer or [], backend, run)
    asked = Asked(registry, run, data_dir, dataset, trust, beta, steps, batch, repeats, plot, as_json, notes)
    if backend is None:
        from eb_core.cli.relax_simulated import settle
    else:
        from eb_core.cli.relax_device import settle
    settle(asked, made)


def _device(below: Sequence[SettingsLayer], flags: SettingsLayer, simulates: bool, notes: list[str]) -> str | None:
    """The backend that settles it, or None for this computer; what is passed over goes into `notes`.

    It is the one that was typed. Without one it is that of the run or the recipe, unless a relaxer was typed.
    """
    from eb_core.training.manifest import SIMULATOR

    typed = flags.name_of("backend")
    own = next((name for layer in reversed(below) if (name := layer.name_of("backend"))), None)
    chosen = typed or (None if simulates else own)
    if chosen in (None, SIMULATOR):
        if "backend" in flags.sections and len(flags.sections["backend"]) > (typed is not None):
            raise UsageError(
                "options of a backend do nothing here, as relaxers settle it on this computer",
                origin="--backend-opt",
                advice="add --backend NAME of a device, and leave --relaxer out if it settles by itself",
            )
        if typed is None and own not in (None, SIMULATOR):
            notes.append(f"this is a simulation, and not backend '{own}', as a relaxer is asked for")
        return None
    return chosen


def _refuse_of_a_simulation(context: typer.Context, device: str) -> None:
    for name, why in OF_A_SIMULATION.items():
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE":
            raise UsageError(
                f"--{name} does nothing with backend '{device}': {why}",
                origin=f"--{name}",
                advice="leave it out, or add --backend simulator",
            )


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
    from eb_core.training.written import written_recipe

    written = attrs.evolve(written_recipe(run, trust, ("eb", "relax")), is_default=True)
    dataset = flags.name_of("dataset")
    if dataset is None:
        return [written], []
    as_in_run, notes = prepared_as(run, dataset, flags, registry)
    return [written, as_in_run], notes


def _configurations(
    registry: Registry,
    below: Sequence[SettingsLayer],
    flags: SettingsLayer,
    relaxers: Sequence[str],
    device: str | None,
    run: Path | None,
) -> dict[str, Configuration]:
    """What was typed for each relaxer -> everything resolved; all that is wrong is reported before any work starts.

    On a device a network is judged with the weights that it will have.
    """
    from eb_core.training.prepare import configure
    from eb_core.training.start import Start

    kinds = KINDS if device is None else (*KINDS, "backend")
    start = None if device is None or run is None else Start.of(run, origin="RUN")
    errors: list[EbError] = []
    made: dict[str, Configuration] = {}
    for text in relaxers:
        with gathered(errors):
            if relaxers.count(text) > 1:
                raise UsageError(f"'{text}' is given twice", origin="--relaxer", advice="give each once")
            layers = [*below, flags, component_layer("relaxer", text)]
            made[_called(device, text)] = configure(registry, layers, kinds, start=start)
    if not relaxers:
        with gathered(errors):
            only = configure(registry, [*below, flags], kinds, start=start)
            relaxer = only.sections["relaxer"]
            made[_called(device, relaxer.name if relaxer.is_chosen else None)] = only
    unique = dict.fromkeys(fault for error in errors for fault in error.faults)
    raise_together([type(max(errors, key=lambda error: error.exit_code))(*unique)] if errors else [])
    return made


def _called(device: str | None, relaxer: str | None) -> str:
    """What settles, in words; a device may have the dynamics of a relaxer."""
    return " with ".join(name for name in (device, relaxer) if name)
