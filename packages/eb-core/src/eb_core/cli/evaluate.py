"""`eb evaluate`: a trained net on test data, its own or others, where it was trained or on another backend."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from eb_core.cli.choices import Lossy, Options, Trust, layer_from_flags, lossy, names_of
from eb_core.cli.listing import AsJson
from eb_core.cli.render import guarded, out, print_json
from eb_core.cli.terminal import styled
from eb_core.learning.usage import in_words
from eb_core.registry import Configuration, Registry, UsageError
from eb_core.registry.errors import raise_if_any

if TYPE_CHECKING:
    from eb_core.data.data import Data
    from eb_core.training.evaluation import Predictions


@guarded
def evaluate(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run directory made by `eb train`.")],
    dataset: Annotated[str | None, typer.Option(help="Another data set.", autocompletion=names_of("dataset"))] = None,
    dataset_opt: Options = None,
    backend: Annotated[
        str | None, typer.Option(help="Where it settles instead: a device.", autocompletion=names_of("backend"))
    ] = None,
    backend_opt: Options = None,
    allow_lossy: Lossy = False,
    relaxer: Annotated[
        str | None, typer.Option(help="How it settles in a simulation.", autocompletion=names_of("relaxer"))
    ] = None,
    relaxer_opt: Options = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with data files.", envvar="EB_DATA_DIR")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    trust: Trust = False,
    predictions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write labels, predicted classes and read-outs to FILE.npz.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate the weights of a run on test data.

    eb evaluate RUN --backend simulator --relaxer hopfield
    """
    from eb_core.training.execute import Device
    from eb_core.training.loading import load_with
    from eb_core.training.report import Notes
    from eb_core.training.targets import check_file

    registry: Registry = context.obj
    if dataset_opt and dataset is None:
        raise UsageError(
            "options of a data set without its name",
            origin=f"--dataset-opt {dataset_opt[0]}",
            advice="add --dataset NAME; without it, the run's own data are loaded again as they were",
        )
    if predictions is not None:
        check_file(predictions, "the predictions", f"--predictions {predictions}")
    options = {"backend": lossy(backend_opt, allow_lossy), "relaxer": relaxer_opt}
    layer, faults = layer_from_flags({"backend": backend, "relaxer": relaxer}, options, {})
    raise_if_any(faults)
    net, configuration = load_with(run, [layer], registry, device, trust)
    said = Notes(configuration.notes)
    with Device(net, [said]):
        session = net.session  # a device that is not there, or does not fit, is known before data are loaded
        data, of_data = _data(run, dataset, dataset_opt, registry, data_dir, trust)
        made = net.predictions(data)
        facts, usage = dict(session.facts), dict(session.usage)
    if predictions is not None:
        _write(made, predictions)
    score, notes = made.score(), [*said, *_of_dynamics(run, configuration, relaxer), *of_data]
    where = {kind: section.name for kind, section in configuration.chosen.items() if kind in ("backend", "relaxer")}
    if as_json:
        on = {**where, **({"device": facts} if facts else {}), **({"usage": usage} if usage else {})}
        print_json({"run": str(run), "data": data.name, **attrs.asdict(score), **on, "notes": notes})
        return
    for note in notes:
        out.print(styled("[yellow]note:[/] {}", note))
    split = "test" if data.test else "training"
    out.print(f"{data.name}, {score.samples} {split} samples: loss {score.loss:.4f}")
    out.print(styled("[bold green]accuracy {}[/]", f"{score.accuracy:.2%}"))
    out.print(styled("on {}", _told(configuration, facts)))
    if usage:
        out.print(f"used {in_words(usage)}")


def _of_dynamics(run: Path, configuration: Configuration, relaxer: str | None) -> list[str]:
    """What to know where a run of a device is simulated: it had no relaxer, so there is none to take over."""
    from eb_core.training.manifest import read_manifest

    if relaxer or "relaxer" not in configuration.chosen or "relaxer" in read_manifest(run)["recipe"]:
        return []
    name = configuration.chosen["relaxer"].name
    return [
        f"the device of this run settles in its own way; '{name}', the default relaxer, may end in other states:"
        " --relaxer chooses another one, such as one that follows the gradient"
    ]


def _told(configuration: Configuration, facts: dict[str, Any]) -> str:
    """Where it was evaluated, in words: simulator, relaxer hopfield; board: Board B7, calibration: worst unit 0.25."""
    said = configuration.sections["backend"].name
    said += f", relaxer {configuration.sections['relaxer'].name}" if "relaxer" in configuration.chosen else ""
    said += f": {facts['settled_by']}" if "settled_by" in facts else ""
    figures = [f"{name} {value:g}" for name, value in facts.get("calibration", {}).items()]
    return said + (f", calibration: {', '.join(figures)}" if figures else "")


def _data(
    run: Path,
    name: str | None,
    options: list[str] | None,
    registry: Registry,
    data_dir: Path | None,
    trust: bool,
) -> "tuple[Data, list[str]]":
    """The data of the run or those called `name`, and what there is to say of how they were prepared."""
    from eb_core.training.loading import load_run_data
    from eb_core.training.preparation import prepared_as
    from eb_core.training.prepare import configure

    if name is None:
        return load_run_data(run, data_dir=data_dir, registry=registry, trust=trust), []
    layer, faults = layer_from_flags({"dataset": name}, {"dataset": options}, {})
    raise_if_any(faults)
    as_in_run, notes = prepared_as(run, name, layer, registry)
    return configure(registry, [as_in_run, layer], ["dataset"])["dataset"].load(data_dir), notes


def _write(made: "Predictions", file: Path) -> None:
    from eb_core.training.runs import write_atomically

    try:
        write_atomically(file, made.to_npz())
    except OSError as error:
        raise UsageError(
            f"the predictions cannot be written: {error.strerror or error}",
            origin=f"--predictions {file}",
            advice="give a file in a folder that you may write to",
        ) from None
