"""Weights that a training begins with in place of fresh ones: those of a run, which the new run keeps as its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from eb_core.network.network import Network
from eb_core.registry import Configuration, SettingsLayer, UsageError
from eb_core.training.manifest import START, WEIGHTS, read_manifest
from eb_core.training.sealed import Sealed
from eb_core.training.weights import saved_weights
from eb_core.training.written import written_recipe

FLAG = "--from"
Form = tuple[tuple[int, ...], int]
"""Shape of one input, and number of classes."""


@attrs.frozen(eq=False)
class Start:
    """The weights of a run, and what it says of them.

    Args:
        sealed: the weights with their digest.
        facts: for the manifest: name and path of the run, digest of the weights, the epoch that they are of.
        origin: where the user named it.
        recipe: the settings of that run, to lie below all others; empty for a run that goes on.
        form: of the data that the weights learnt.
    """

    sealed: Sealed
    facts: Mapping[str, Any]
    origin: str
    recipe: SettingsLayer = attrs.field(factory=SettingsLayer)
    form: Form | None = None

    @classmethod
    def of(cls, path: Path, *, trust: bool = False, origin: str = "") -> "Start":
        """The selected weights of the run in a directory: those that it is evaluated with.

        Args:
            path: the run directory.
            trust: the user vouches for whoever made it.
            origin: where the user named it; default: on the command line.

        Raises:
            UsageError: it is no run, or has no weights that are finite and its own.
        """
        manifest, recipe = read_manifest(path), written_recipe(path, trust, ("eb", "train", FLAG))
        sealed = saved_weights(path / WEIGHTS, manifest.get("weights"))
        sealed = sealed if sealed.digest else Sealed.of(sealed.tensors)
        where = path.absolute()
        facts = {"run": where.name, "path": str(where), "weights": sealed.digest, "epoch": manifest.get("best_epoch")}
        form = tuple(manifest["data"]["input_shape"]), manifest["data"]["classes"]
        return cls(sealed, facts, origin or f"{FLAG} {path}", attrs.evolve(recipe, is_default=True), form)

    @classmethod
    def kept(cls, path: Path, facts: Mapping[str, Any] | None) -> "Start | None":
        """What the run in `path` began with, read from its own directory; None if its weights were fresh.

        Raises:
            UsageError: its file is missing or damaged.
        """
        file = path / START
        return None if facts is None else cls(saved_weights(file, facts.get("weights")), facts, str(file))

    @property
    def told(self) -> str:
        """Whose weights these are, in words."""
        epoch = self.facts.get("epoch")
        return f"weights of {self.facts.get('run')}" + (f", epoch {epoch}" if epoch else "")

    def form_for(self, configuration: Configuration) -> Form | None:
        """Form of the data of a training, where they are those that the weights learnt."""
        own = {name: value for name, (value, _) in self.recipe.sections.get("dataset", {}).items()}
        return self.form if configuration.sections["dataset"].written() == own else None

    def put(self, network: Network) -> None:
        """Put the weights into a network.

        Raises:
            UsageError: it is another network; the error names the first parameter with another shape, and both shapes.
        """
        there, here = _shapes(self.sealed.tensors), _shapes(network.state_dict())
        for name in here | there:
            if here.get(name) != there.get(name):
                raise UsageError(
                    f"the {self.told} are of another net: '{name}' is {_form(there.get(name))} there and"
                    f" {_form(here.get(name))} in this one",
                    origin=self.origin,
                    advice="leave model, energy, cost and data as they were in that run, or begin with fresh weights",
                )
        network.load_state_dict(dict(self.sealed.tensors))
        outside = network.outside()
        if outside:
            raise UsageError(
                f"the {self.told} do not fit: {', '.join(outside)} hold values that the edge does not allow",
                origin=self.origin,
                advice="leave model and energy as they were in that run",
            )


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _form(shape: tuple[int, ...] | None) -> str:
    return "not there" if shape is None else " x ".join(map(str, shape)) or "a number"
