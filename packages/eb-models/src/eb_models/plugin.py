"""What this package registers."""

from eb_core.registry import Component, hookimpl

EB_PLUGIN_API = "0.1"


@hookimpl
def eb_models() -> list[Component]:
    return [Component("mlp", "eb_models.mlp:MLP", "dense layers in a chain", recipe="mlp")]


@hookimpl
def eb_recipes() -> list[Component]:
    return [
        Component("mlp", "eb_models:recipes/mlp.toml", "one hidden layer of 120 units, centred EP, digits"),
        Component("mnist", "eb_models:recipes/mnist.toml", "784-120-10, centred EP, 97 % of MNIST in five epochs"),
    ]
