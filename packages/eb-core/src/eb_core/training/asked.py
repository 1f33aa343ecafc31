"""What is asked of the Python API by arguments that are no settings: checked before any work starts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eb_core.data.data import Data
from eb_core.registry import Registry, UsageError
from eb_core.registry.wording import shown
from eb_core.training.report import Observer


def observers_of(observers: Any) -> Sequence[Observer]:
    """The observers.

    Raises:
        UsageError: no sequence, or one of them lacks the method `batch` or `epoch`.
    """
    if not isinstance(observers, Sequence) or isinstance(observers, str):
        raise UsageError(
            f"observers must be a list, not a {type(observers).__name__}",
            origin="observers=",
            advice="write observers=[mine]",
        )
    for observer in observers:
        missing = [name for name in ("batch", "epoch") if not callable(getattr(observer, name, None))]
        if missing:
            raise UsageError(
                f"the observer {type(observer).__name__} has no method {' and no method '.join(missing)}",
                origin="observers=",
                advice="give it batch(epoch, done, total) and epoch(report); either may do nothing",
            )
    return observers


def data_of(data: Any, origin: str = "data=") -> Data:
    """The data.

    Raises:
        UsageError: it is something else, such as a pair of arrays.
    """
    if not isinstance(data, Data):
        raise UsageError(
            f"data must be eb_core.Data, not a {type(data).__name__}",
            origin=origin,
            advice="eb_core.Data.from_arrays(x, y, test=(x_test, y_test)) makes it of arrays",
        )
    return data


def path_of(path: Any, origin: str) -> Path:
    """The path.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(path, (str, Path)):
        raise UsageError(f"{shown(path)} is no path", origin=origin, advice="give a str or a pathlib.Path")
    return Path(path)


def registry_of(registry: Any) -> Registry:
    """The registry; None stands for all that is installed.

    Raises:
        UsageError: it is something else.
    """
    if registry is not None and not isinstance(registry, Registry):
        raise UsageError(
            f"registry must be a Registry, not a {type(registry).__name__}",
            origin="registry=",
            advice="leave it out, or give eb_core.Registry.installed()",
        )
    return registry or Registry.installed()


def recipes_of(recipe: Any) -> list[str]:
    """Names and paths of recipes.

    Raises:
        UsageError: neither text nor a path, nor a list of them.
    """
    given = [recipe] if isinstance(recipe, (str, Path)) else recipe
    if not isinstance(given, Sequence) or not all(isinstance(one, (str, Path)) for one in given):
        raise UsageError(
            f"recipe must be the name or file of a recipe, or a list of them, not a {type(recipe).__name__}",
            origin="recipe=",
            advice='write recipe="mlp" or recipe=["mlp", "mine.toml"]',
        )
    return [str(one) for one in given]


def idle_without_run(trainer: Mapping[str, Any], predictions: bool) -> list[str]:
    """What is asked of the run directory of a training that writes none."""
    asked = [f"{name} = {shown(value)}" for name, value in trainer.items() if name.startswith("checkpoint_")]
    asked += ["predictions = True"] if predictions else []
    return [f"{one} does nothing without out" for one in asked]
