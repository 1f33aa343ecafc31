"""What models and data sets promise."""

from pathlib import Path

import torch

from eb_core.data.data import Dataset
from eb_core.network.network import Model
from eb_core.testing.edge_checks import check_edge
from eb_core.testing.verdict import global_random_state_untouched, require


def check_model(model: Model, input_shape: tuple[int, ...], outputs: int = 3) -> None:
    """Check that a model builds networks of the right ends whose edges keep their promises.

    Raises:
        ConformanceError: naming the promise.
    """
    where = repr(model)
    with global_random_state_untouched(where):
        network = model.build(input_shape, outputs)
    require(network.layers[network.input].shape == input_shape, "the input layer has the input's shape", where)
    require(network.layers[network.output].shape == (outputs,), "the output layer has one unit for each output", where)
    require(all(edge.fan_in > 0 for edge in network.edges.values()), "every edge knows its fan-in", where)
    for name, parameter in network.named_parameters():
        require(not bool(parameter.any()), f"{name} is 0 until an energy draws it", where)
    for edge in network.edges.values():
        check_edge(edge, network.layers[edge.pre].shape, network.layers[edge.post].shape)
    reached = {network.input}
    for _ in network.layers:
        reached |= {edge.post for edge in network.edges.values() if edge.pre in reached}
    require(reached == set(network.layers), "every layer is reached from the input", where)


def check_dataset(dataset: Dataset, data_dir: Path | None = None) -> None:
    """Check that a data set loads the same well-formed data every time.

    Raises:
        ConformanceError: naming the promise.
    """
    where = repr(dataset)
    with global_random_state_untouched(where):
        first, second = dataset.load(data_dir), dataset.load(data_dir)
    require(first.checksum() == second.checksum(), "loading twice gives the same data", where)
    form = dataset.known_form()
    require(form in (None, (first.input_shape, first.classes)), "samples and classes are as known_form says", where)
    for split in (first.train, first.test):
        if split is not None:
            require(len(split) > 0, "no split is empty", where)
            require(split.y.dtype == torch.int64, "labels are int64", where)
            require(int(split.y.min()) >= 0 and int(split.y.max()) < first.classes, "labels are classes", where)
            require(bool(torch.isfinite(split.x.float()).all()), "samples are finite", where)
