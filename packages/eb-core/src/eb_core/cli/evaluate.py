"""`eb evaluate`: a trained net on the test split of its own data set, or of another one."""

from pathlib import Path
from typing import Annotated

import attrs
import typer

from eb_core.cli.choices import Trust, layer_from_flags, names_of
from eb_core.cli.listing import AsJson
from eb_core.cli.render import guarded, out, print_json
from eb_core.cli.terminal import styled
from eb_core.registry import Registry, UsageError
from eb_core.registry.errors import raise_if_any


@guarded
def evaluate(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run directory made by `eb train`.")],
    dataset: Annotated[str | None, typer.Option(help="Another data set.", autocompletion=names_of("dataset"))] = None,
    dataset_opt: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder with data files.", envvar="EB_DATA_DIR")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    trust: Trust = False,
    predictions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write labels, predicted classes and read-outs to FILE.npz.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate the weights of a run on test data."""
    from eb_core.training.preparation import prepared_as
    from eb_core.training.prepare import configure
    from eb_core.training.runs import write_atomically
    from eb_core.training.targets import check_file
    from eb_core.training.trained import load_run, load_run_data

    registry: Registry = context.obj
    if dataset_opt and dataset is None:
        raise UsageError(
            "options of a data set without its name",
            origin=f"--dataset-opt {dataset_opt[0]}",
            advice="add --dataset NAME; without it, the run's own data are loaded again as they were",
        )
    if predictions is not None:
        check_file(predictions, "the predictions", f"--predictions {predictions}")
    net, notes = load_run(run, registry=registry, device=device, trust=trust), list[str]()
    if dataset is None:
        data = load_run_data(run, data_dir=data_dir, registry=registry, trust=trust)
    else:
        layer, faults = layer_from_flags({"dataset": dataset}, {"dataset": dataset_opt}, {})
        raise_if_any(faults)
        as_in_run, notes = prepared_as(run, dataset, layer, registry)
        data = configure(registry, [as_in_run, layer], ["dataset"])["dataset"].load(data_dir)
    with net:
        made = net.predictions(data)
    if predictions is not None:
        try:
            write_atomically(predictions, made.to_npz())
        except OSError as error:
            raise UsageError(
                f"the predictions cannot be written: {error.strerror or error}",
                origin=f"--predictions {predictions}",
                advice="give a file in a folder that you may write to",
            ) from None
    score = made.score()
    if as_json:
        print_json({"run": str(run), "data": data.name, **attrs.asdict(score), "notes": notes})
        return
    for note in notes:
        out.print(styled("[yellow]note:[/] {}", note))
    split = "test" if data.test else "training"
    out.print(f"{data.name}, {score.samples} {split} samples: loss {score.loss:.4f}")
    out.print(styled("[bold green]accuracy {}[/]", f"{score.accuracy:.2%}"))
