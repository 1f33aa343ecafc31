"""Names that are well known though their package may be missing here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PROVIDERS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("energy", "hopfield"): "eb-dynamics-hopfield",
        ("relaxer", "hopfield"): "eb-dynamics-hopfield",
        ("relaxer", "hopfield-sync"): "eb-dynamics-hopfield",
        ("relaxer", "gradient-flow"): "eb-dynamics-hopfield",
        ("relaxer", "csb"): "eb-dynamics-csb",
        ("recipe", "csb-paper"): "eb-dynamics-csb",
        ("energy", "oim"): "eb-dynamics-oim",
        ("relaxer", "oim"): "eb-dynamics-oim",
        ("relaxer", "oim-heavy-ball"): "eb-dynamics-oim",
        ("relaxer", "oim-block"): "eb-dynamics-oim",
        ("relaxer", "oim-newton"): "eb-dynamics-oim",
        ("recipe", "oim"): "eb-dynamics-oim",
        ("recipe", "oim-paper"): "eb-dynamics-oim",
        ("energy", "cim"): "eb-dynamics-cim",
        ("relaxer", "cim"): "eb-dynamics-cim",
        ("relaxer", "cim-block"): "eb-dynamics-cim",
        ("relaxer", "adam"): "eb-dynamics-cim",
        ("recipe", "cim"): "eb-dynamics-cim",
        ("model", "mlp"): "eb-models",
        ("model", "dchn"): "eb-models",
        ("model", "dchn4"): "eb-models",
        ("recipe", "dchn4"): "eb-models",
        ("recipe", "dchn4-paper"): "eb-models",
        ("recipe", "dchn4-cifar10"): "eb-models",
        ("recipe", "dchn4-cifar100"): "eb-models",
        ("recipe", "mlp"): "eb-models",
        ("recipe", "mnist"): "eb-models",
        ("rule", "c-ep"): "eb-rules",
        ("rule", "p-ep"): "eb-rules",
        ("rule", "n-ep"): "eb-rules",
        ("dataset", "digits"): "eb-datasets",
        ("dataset", "mnist"): "eb-datasets",
        ("dataset", "mnist-100"): "eb-datasets",
        ("dataset", "fashion-mnist"): "eb-datasets",
        ("dataset", "cifar10"): "eb-datasets",
        ("dataset", "cifar100"): "eb-datasets",
        ("dataset", "svhn"): "eb-datasets",
        ("dataset", "npz"): "eb-datasets",
        ("dataset", "csv"): "eb-datasets",
    }
)
"""Which package of the suite brings a well-known name, so that a missing one can be named."""
