"""What is different in the new packages of each kind, beside their templates."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs


@attrs.frozen
class Kind:
    """One kind of package.

    Args:
        summary: of its component, in one line; it is an example that the author replaces.
        recipe: what its recipe is, in one line.
        files: path -> what is in it, of the files that only this kind has.
        dependencies: requirements beside eb-core.
        has_sdk: whether it has an extra for software that only some users have.
    """

    summary: str
    recipe: str
    files: Mapping[str, str]
    dependencies: tuple[str, ...] = ()
    has_sdk: bool = False


COMPONENT: Final = "src/$module/$stem.py"
NEW: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "relaxer": Kind(
            "over-relaxed block updates",
            "three epochs on the digits with this dynamics",
            {COMPONENT: "the dynamics: its options, and what one step is"},
        ),
        "energy": Kind(
            "stiff units in [0, 1]",
            "three epochs on the digits with this energy",
            {COMPONENT: "the physics of a unit"},
        ),
        "rule": Kind(
            "one-sided equilibrium propagation",
            "three epochs on the digits with this rule",
            {COMPONENT: "the rule: which phases it settles, and the gradient that it makes of them"},
        ),
        "model": Kind(
            "one hidden layer and a skip edge",
            "three epochs on the digits with this net",
            {COMPONENT: "the net: its layers and edges"},
        ),
        "cost": Kind(
            "the Huber cost",
            "three epochs on the digits with this cost",
            {COMPONENT: "the cost and its derivative"},
        ),
        "dataset": Kind(
            "two rings in the plane",
            "thirty epochs on the rings",
            {COMPONENT: "how the samples are made or read"},
            ("numpy>=1.26",),
        ),
        "backend": Kind(
            "a board with 256 analog units",
            "three epochs on the digits with a net that fits the board",
            {
                COMPONENT: "the device in numpy, and the backend that reaches it",
                "src/$module/capabilities.toml": "what the device can do",
                "src/$module/driver.py": "how to speak to the real board: yours to write",
                "src/$module/fake.py": "a board to train on before it exists, with glitches and hangs",
            },
            ("numpy>=1.26",),
            has_sdk=True,
        ),
    }
)
