"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_models() -> list[Component]:
    return [
        Component("mlp", "eb_models.mlp:MLP", "dense layers in a chain", recipe="mlp"),
        Component("dchn", "eb_models.dchn:DCHN", "convolutions with pooling in a chain, then dense", recipe="dchn4"),
        Component(
            "dchn4",
            "eb_models.dchn:DCHN",
            "deep convolutional Hopfield net with four conv layers",
            {"growth": [1, 2, 4, 4]},
            recipe="dchn4",
        ),
    ]


@hookimpl
def eb_recipes() -> list[Component]:
    return [
        Component("mlp", "eb_models:recipes/mlp.toml", "one hidden layer of 120 units, centred EP, digits"),
        Component("dchn4", "eb_models:recipes/dchn4.toml", "four conv layers, cSB, centred EP, digits"),
        Component("dchn4-paper", "eb_models:recipes/dchn4-paper.toml", "EBL's comparative study, MNIST"),
        Component("dchn4-cifar10", "eb_models:recipes/dchn4-cifar10.toml", "EBL's best settings for CIFAR-10"),
        Component("dchn4-cifar100", "eb_models:recipes/dchn4-cifar100.toml", "EBL's best settings for CIFAR-100"),
        Component("mnist", "eb_models:recipes/mnist.toml", "784-120-10, centred EP, 97 % of MNIST in five epochs"),
    ]
