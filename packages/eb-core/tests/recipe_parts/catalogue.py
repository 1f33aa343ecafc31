"""A registry that offers the parts of this package under several names, and layers of settings for it."""

from typing import Any

from eb_core.registry import Component, Plugin, Registry, SettingsLayer, Text, parse_recipe, resolve_layers


def plugin(distribution: str, status: Any = "ok", **components: list[Component]) -> Plugin:
    return Plugin(
        distribution, distribution, "1", distribution, status, {kind: tuple(some) for kind, some in components.items()}
    )


TOY = plugin(
    "toy",
    model=[Component("net", "recipe_parts:Net", recipe="net")],
    dataset=[
        Component("all", "recipe_parts:Everything"),
        Component("all-b", "recipe_parts:Everything", preset={"choice": "b", "number": 0.1}),
        Component("all-c", "recipe_parts:Everything", preset={"choice": "b"}),
        Component("other", "recipe_parts:Other"),
    ],
    recipe=[
        Component("net", "recipe_parts:net.toml"),
        Component("bad", "recipe_parts:bad.toml"),
        Component("gone", "recipe_parts:gone.toml"),
        Component("nowhere", "no_such_package_here:gone.toml"),
    ],
)
REGISTRY = Registry([TOY])


def resolve(
    *layers: SettingsLayer, kinds: tuple[str, ...] = ("dataset", "trainer"), registry: Registry = REGISTRY
) -> Any:
    """The configuration; a fault is a failure."""
    configuration, faults = resolve_layers(registry, layers, kinds)
    assert faults == []
    return configuration


def flags(**sections: dict[str, str]) -> SettingsLayer:
    return SettingsLayer(
        {
            kind: {key: (text if key == "name" else Text(text), f"--{key}") for key, text in section.items()}
            for kind, section in sections.items()
        }
    )


def recipe(text: str, origin: str = "a.toml") -> SettingsLayer:
    return parse_recipe(text, origin)
