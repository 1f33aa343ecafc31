"""The Python API: everything the command `eb` does, in a few lines in a notebook.

import eb_core as eb

result = eb.train("mlp", dataset="digits", epochs=5)
result.test.accuracy
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eb_core.data.data import Data, Dataset, OwnArrays
from eb_core.registry import Configuration, Registry, UsageError, read_recipe
from eb_core.registry.recipes import TRAINER
from eb_core.training.asked import data_of, idle_without_run, observers_of, path_of, recipes_of, registry_of
from eb_core.training.execute import Device, TrainingResult, execute, threads
from eb_core.training.layers import Choice, layer_of
from eb_core.training.manifest import SIMULATOR, START
from eb_core.training.places import places
from eb_core.training.prepare import configure
from eb_core.training.report import AdviceAsWarnings, Observer, tell
from eb_core.training.runs import Run
from eb_core.training.settings import TrainerSettings
from eb_core.training.start import Start
from eb_core.training.trainer import Trainer


def train(
    model: Choice | None = None,
    *,
    energy: Choice | None = None,
    relaxer: Choice | None = None,
    rule: Choice | None = None,
    cost: Choice | None = None,
    dataset: Choice | None = None,
    backend: Choice | None = None,
    data: Data | None = None,
    recipe: str | Sequence[str] = (),
    start: str | Path | None = None,
    out: str | Path | None = None,
    predictions: bool = False,
    observers: Sequence[Observer] = (),
    registry: Registry | None = None,
    trust: bool = False,
    **trainer: Any,
) -> TrainingResult:
    """Train a network; the command `eb train` as a function.

    >>> import eb_core as eb
    >>> result = eb.train({"name": "mlp", "hidden": [32]}, dataset="digits", epochs=3)
    >>> result.test.accuracy > 0.85
    True

    Args:
        model: a name, `{"name": …, option: value}`, or an instance; left out, it comes from the recipe.
        energy: likewise.
        relaxer: likewise.
        rule: likewise.
        cost: likewise.
        dataset: likewise.
        backend: likewise.
        data: your own tensors (`Data.from_arrays`); it goes without dataset.
        recipe: names or .toml files of recipes, later ones over earlier ones.
        start: directory of a run: the training begins with its weights, and its settings lie below all others.
        out: folder in which a new run directory is made; None writes nothing.
        predictions: also write predictions.npz, the read-outs of the test split, into that directory.
        observers: told of every batch and epoch by their methods `batch` and `epoch`; an exception of one ends the
            training, and comes out as it is.
        registry: where components are looked up; default: all that is installed.
        trust: whoever wrote the .toml files, that of `start` too, may run code here: they may name a class,
            `module:Class`.
        trainer: options of `TrainerSettings`, such as `epochs=5, lr=1e-3`.

    What the parts have to say before it starts, options that do nothing, and what epochs advise, are issued as warnings
    of the class `Notice`, and told to observers that have a method `notice(text)`.

    Raises:
        UsageError: with everything that is wrong about the settings or the data; `start` is no run, or of another net.
        RunError: training failed; with `out`, the run directory says so and keeps the weights.
    """
    observers, recipes, registry = observers_of(observers), recipes_of(recipe), registry_of(registry)
    folder = None if out is None else path_of(out, "out=")
    if data is not None and data_of(data) and dataset is not None:
        raise UsageError("both data= and dataset= are given", origin="dataset=", advice="leave one of them out")
    choices = {"model": model, "energy": energy, "relaxer": relaxer, "rule": rule, "cost": cost}
    choices |= {"dataset": dataset if data is None else OwnArrays(), "backend": backend}
    begun = None if start is None else Start.of(path_of(start, "start="), trust=trust, origin=f"start={str(start)!r}")
    below = [begun.recipe] if begun else []
    layers = [*below, *(read_recipe(registry, one, trust=trust) for one in recipes), layer_of(choices, trainer)]
    configuration = configure(registry, layers, start=begun)
    caller = sys._getframe(1)
    watching = [*observers, AdviceAsWarnings(caller.f_code.co_filename, caller.f_lineno)]
    for note in [*configuration.notes, *(idle_without_run(trainer, predictions) if folder is None else ())]:
        tell(watching, note)
    return run_training(
        configuration, registry, start=begun, data=data, out=folder, observers=watching, predictions=predictions
    )


def run_training(
    configuration: Configuration,
    registry: Registry,
    *,
    start: Start | None = None,
    data: Data | None = None,
    data_dir: Path | None = None,
    out: str | Path | None = None,
    observers: Sequence[Observer] = (),
    predictions: bool = False,
) -> TrainingResult:
    """Train what `configuration` says, from `start` if it is given; a run directory in `out` is written unless None.

    An exception, Ctrl-C included, leaves a run directory that says how it ended and holds the weights so far.
    """
    if out is not None:
        Run.check_folder(out)
    settings: TrainerSettings = configuration[TRAINER]
    with threads(settings.threads):
        if data is None:
            dataset: Dataset = configuration["dataset"]
            data = dataset.load(data_dir)
        trainer = Trainer(configuration, data, start)
        with Device(trainer.learner, observers) as device:
            for notice in trainer.notices:
                tell(observers, notice)
            if out is None:
                return execute(trainer, configuration, None, observers)
            facts = {**_facts(trainer), "notices": trainer.notices, **places(data_dir)}
            facts |= {"predictions": True} if predictions else {}
            facts |= {"start": dict(start.facts)} if start else {}
            with Run.create(Path(out), _label(configuration)) as device.run:
                if start:
                    device.run.write(START, start.sealed.encode())  # before there is a manifest that needs it
                device.run.begin(configuration, registry, facts)
                return execute(trainer, configuration, device.run, observers)


def _label(configuration: Configuration) -> str:
    """The parts by name: the relaxer only where it settles, the backend only where it is not this computer."""
    sections = configuration.chosen
    kinds = [kind for kind in ("model", "dataset", "relaxer", "backend", "rule") if kind in sections]
    called = [sections[kind].name for kind in kinds if kind != "backend" or sections[kind].name != SIMULATOR]
    names = [name.rpartition(":")[2] for name in called]
    return "-".join([*names, f"s{configuration[TRAINER].seed}"])


def _facts(trainer: Trainer) -> dict[str, Any]:
    data = trainer.data
    return {
        "seed": trainer.settings.seed,
        "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
        **({"device": dict(trainer.session.facts)} if trainer.session.facts else {}),
        "data": {
            "name": data.name,
            "checksum": data.checksum(),
            "input_shape": list(data.input_shape),
            "classes": data.classes,
            "train": len(trainer.train_split),
            "validation": len(trainer.validation_split) if trainer.validation_split else 0,
            "test": len(data.test) if data.test else 0,
        },
    }
