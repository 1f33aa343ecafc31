"""This package alone: the multi-layer perceptron and its recipe."""

import pytest

from eb_core import Registry
from eb_core.registry import read_recipe
from eb_core.testing import check_model
from eb_models.mlp import MLP


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5, 6)])
def test_chains_of_every_depth_keep_the_promises_of_a_model(hidden: tuple[int, ...]) -> None:
    check_model(MLP(hidden=hidden), (1, 4, 4), outputs=3)


def test_lateral_edges_join_the_units_of_every_hidden_layer_on_request() -> None:
    model = MLP(hidden=(7, 5), lateral=True, lateral_gain=0.2)
    check_model(model, (1, 4, 4), outputs=3)
    network = model.build((1, 4, 4), 3)
    assert [(edge.pre, edge.gain) for edge in network.edges.values() if edge.is_lateral] == [
        ("hidden1", 0.2),
        ("hidden2", 0.2),
    ]


def test_the_paper_size_has_as_many_parameters_as_the_paper_says() -> None:
    network = MLP(hidden=(120,)).build((784,), 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == 784 * 120 + 120 + 120 * 10 + 10
    assert network.parameter_names() == [
        "edges.input-hidden1.weight",
        "edges.hidden1-output.weight",
        "biases.hidden1",
        "biases.output",
    ]


def test_gains_are_one_for_all_edges_or_one_for_each() -> None:
    assert [edge.gain for edge in MLP(hidden=(3,), gain=(0.5,)).build((2,), 2).edges.values()] == [0.5, 0.5]
    assert [edge.gain for edge in MLP(hidden=(3,), gain=(0.5, 0.7)).build((2,), 2).edges.values()] == [0.5, 0.7]
    with pytest.raises(ValueError, match="3 gains for 2 edges"):
        MLP(hidden=(3,), gain=(1.0, 2.0, 3.0))


def test_the_default_recipe_is_there_and_names_the_model() -> None:
    registry = Registry.installed()
    recipe = registry.find("model", "mlp").recipe
    assert recipe is not None
    assert read_recipe(registry, recipe).name_of("model") == "mlp"


def test_the_recipe_of_mnist_is_there_and_stays_within_five_epochs() -> None:
    recipe = read_recipe(Registry.installed(), "mnist")
    named = {kind: recipe.name_of(kind) for kind in ("model", "relaxer", "rule", "dataset")}
    assert named == {"model": "mlp", "relaxer": "hopfield", "rule": "c-ep", "dataset": "mnist"}
    assert recipe.sections["model"]["hidden"][0] == [120]
    assert recipe.sections["trainer"]["epochs"][0] <= 5
