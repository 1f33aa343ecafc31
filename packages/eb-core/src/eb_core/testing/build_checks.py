"""What models and data sets promise."""

import copy
import functools
from pathlib import Path

import torch

from eb_core.data.data import Data, Dataset
from eb_core.network.network import Model, Network
from eb_core.testing.edge_checks import check_edge
from eb_core.testing.kit import Suite, check_of, require_all
from eb_core.testing.report import SkippedError
from eb_core.testing.verdict import global_random_state_untouched, require


def check_model(model: Model, input_shape: tuple[int, ...], outputs: int = 3) -> int:
    """Check that a model builds networks of the right ends whose edges keep their promises; returns how many cases.

    Raises:
        ConformanceError: naming the promise.
    """
    return require_all(model_suite(model, input_shape, outputs), repr(model))


def model_suite(model: Model, input_shape: tuple[int, ...] = (1, 8, 8), outputs: int = 3) -> Suite:
    """The promises of a model, one test for each; see `check_model`."""
    where = repr(model)

    @functools.cache
    def network() -> Network:
        return model.build(input_shape, outputs)

    def builds() -> None:
        with global_random_state_untouched(where):
            built = network()
        require(built.layers[built.input].shape == input_shape, "the input layer has the input's shape", where)
        shape = built.layers[built.output].shape
        require(shape == (outputs,), "the output layer has one unit for each output", where)

    def parameters() -> None:
        for name, parameter in network().named_parameters():
            require(not bool(parameter.any()), f"{name} is 0 until an energy draws it", where)
        require(all(edge.fan_in > 0 for edge in network().edges.values()), "every edge knows its fan-in", where)

    def reached() -> None:
        built = network()
        found = {built.input}
        for _ in built.layers:
            found |= {edge.post for edge in built.edges.values() if edge.pre in found}
        require(found == set(built.layers), "every layer is reached from the input", where)

    def edges() -> None:
        built = copy.deepcopy(network())
        for edge in built.edges.values():
            check_edge(edge, built.layers[edge.pre].shape, built.layers[edge.post].shape)

    return (
        check_of(
            "builds", "networks have the input's shape and one output unit for each output", builds, is_first=True
        ),
        check_of("parameters", "parameters are 0 until an energy draws them, and edges know their fan-in", parameters),
        check_of("reached", "every layer is reached from the input", reached),
        check_of("edges", "fields and gradients of every edge are derivatives of its energy", edges),
    )


def check_dataset(dataset: Dataset, data_dir: Path | None = None) -> int:
    """Check that a data set loads the same well-formed data every time; returns the number of cases.

    Raises:
        ConformanceError: naming the promise.
    """
    return require_all(dataset_suite(dataset, data_dir), repr(dataset))


def dataset_suite(dataset: Dataset, data_dir: Path | None = None) -> Suite:
    """The promises of a data set, one test for each; see `check_dataset`.

    Args:
        dataset: at the options that are to be checked.
        data_dir: folder of its files, as `--data-dir` names it.
    """
    where = repr(dataset)

    @functools.cache
    def data() -> Data:
        return dataset.load(data_dir)

    def loads() -> None:
        with global_random_state_untouched(where):
            first = data()
        require(len(first.train) > 0, "there are training samples", where)

    def same() -> None:
        require(data().checksum() == dataset.load(data_dir).checksum(), "loading twice gives the same data", where)

    def form() -> None:
        known, sizes, first = dataset.known_form(), dataset.known_sizes(), data()
        if known is None and sizes is None:
            raise SkippedError("its options do not say what samples look like, or how many there are")
        there = (first.input_shape, first.classes)
        require(known in (None, there), f"samples and classes are as known_form says: {there}", where)
        count = len(first.train), len(first.test or ())
        if data_dir is None:  # files of a folder that somebody names may be a part of those that were published
            require(sizes in (None, count), f"there are as many samples as known_sizes says: {count}", where)

    def samples() -> None:
        first = data()
        for split in (first.train, first.test):
            if split is not None:
                require(len(split) > 0, "no split is empty", where)
                require(split.y.dtype == torch.int64, "labels are int64", where)
                inside = int(split.y.min()) >= 0 and int(split.y.max()) < first.classes
                require(inside, "labels are classes", where)
                require(bool(torch.isfinite(split.x.float()).all()), "samples are finite", where)

    return (
        check_of("loads", "it loads, and draws from no global generator", loads, is_first=True),
        check_of("same twice", "loading twice gives the same data", same),
        check_of("known form", "what it says before it is loaded is so", form),
        check_of("samples", "samples are finite, labels are classes", samples),
    )
