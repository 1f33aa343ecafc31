"""Deep convolutional Hopfield networks: their geometry, their size, and what is said of inputs that do not fit."""

from typing import Any

import pytest

from eb_core import Conv, Registry, UsageError
from eb_core.registry import read_recipe
from eb_core.testing import check_model
from eb_models.dchn import DCHN

FOUR = (1, 2, 4, 4)


def sides(model: DCHN, shape: tuple[int, ...]) -> list[int]:
    """Sides of the images of all conv layers."""
    return [edge.post_shape[1] for edge in model.build(shape, 10).edges.values() if isinstance(edge, Conv)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"growth": (1,), "pool": ("avg",)},
        {"growth": (1, 2), "stride": (2,), "pool": ("none",), "kernel": (3, 1), "padding": (1, 0)},
        {"growth": (1, 1, 2), "pool": ("max", "none", "avg"), "skip": ("hidden1-hidden3", "input-output")},
    ],
    ids=repr,
)
def test_networks_of_every_kind_keep_the_promises_of_a_model(options: dict[str, Any]) -> None:
    check_model(DCHN(width=3, **options), (2, 8, 8), outputs=3)


@pytest.mark.parametrize(
    ("channels", "outputs", "count"), [(3, 10, 3_859_210), (1, 10, 3_856_906), (3, 100, 4_043_620)]
)
def test_the_net_of_the_paper_has_as_many_parameters_as_the_paper_says(channels: int, outputs: int, count: int) -> None:
    network = DCHN(width=128, growth=FOUR).build((channels, 32, 32), outputs)
    assert [layer.shape for layer in network.unit_layers] == [
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
        (outputs,),
    ]
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_images_are_enlarged_and_framed_as_far_as_four_poolings_need() -> None:
    model = DCHN(width=2, growth=FOUR)
    assert sides(model, (3, 32, 32)) == [16, 8, 4, 2]
    assert sides(model, (1, 28, 28)) == [16, 8, 4, 2]
    assert sides(model, (1, 8, 8)) == [8, 4, 2, 1]
    assert sides(DCHN(width=2, growth=FOUR, upscale=4), (1, 8, 8)) == [16, 8, 4, 2]
    assert sides(DCHN(width=2, growth=FOUR, margin=0), (1, 28, 28)) == [14, 7, 3, 1]


def test_gains_go_to_conv_edges_then_dense_then_skips() -> None:
    network = DCHN(growth=(1, 2), width=2, gain=(0.1, 0.2, 0.3, 0.4), skip=("hidden1-output",)).build((1, 8, 8), 3)
    gains = {f"{edge.pre}-{edge.post}": edge.gain for edge in network.edges.values()}
    assert gains == {"input-hidden1": 0.1, "hidden1-hidden2": 0.2, "hidden2-output": 0.3, "hidden1-output": 0.4}


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (64,), "needs images"),
        ({"growth": FOUR, "upscale": 1}, (1, 8, 8), "images of 8 x 8 are too small for 4 conv layers"),
        ({"skip": ("hidden2-hidden1",)}, (1, 8, 8), "joins no earlier layer to a later one"),
        ({"skip": ("hidden9-output",)}, (1, 8, 8), "two of input, hidden1, hidden2, output"),
        (
            {"skip": ("input-hidden2",), "growth": (1, 1), "pool": ("none",), "kernel": (4,)},
            (1, 8, 8),
            "no stride takes",
        ),
    ],
)
def test_what_does_not_fit_is_one_clear_error(options: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DCHN(width=2, **options).build(shape, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"growth": ()}, "names no conv layer"),
        ({"growth": (1, 2), "kernel": (3, 3, 3)}, "3 values of kernel for 2 conv layers"),
        ({"growth": (1, 2), "gain": (1.0, 1.0)}, "2 gains for 3 edges"),
    ],
)
def test_lists_are_one_value_for_all_or_one_for_each(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DCHN(**options)


def test_dchn4_is_the_preset_with_four_conv_layers_and_its_recipe_names_it() -> None:
    registry = Registry.installed()
    component = registry.find("model", "dchn4")
    assert component.preset["growth"] == list(FOUR)
    assert component.recipe is not None
    assert read_recipe(registry, component.recipe).name_of("model") == "dchn4"
