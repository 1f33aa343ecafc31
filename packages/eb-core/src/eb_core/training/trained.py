"""A trained net: what a run directory holds, ready to settle, read out and predict.

net = eb.load_run("runs/20260101-120000-mlp-digits-hopfield-c-ep-s0")
net.predict(x)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from eb_core.data.arrays import tensor_of
from eb_core.data.data import Data
from eb_core.learning.learner import Learner
from eb_core.learning.session import Session
from eb_core.registry import Registry, SettingsLayer, UsageError, parse_recipe
from eb_core.registry.commands import command
from eb_core.registry.recipes import TRAINER, read_text
from eb_core.settling.relaxer import Relaxation
from eb_core.training.asked import data_of, path_of, registry_of
from eb_core.training.build import make_network
from eb_core.training.evaluation import Predictions, Score, predict_split
from eb_core.training.manifest import RECIPE, read_manifest
from eb_core.training.places import load_again
from eb_core.training.prepare import configure
from eb_core.training.runs import read_weights
from eb_core.training.settings import TrainerSettings
from eb_core.training.streams import stream


@attrs.frozen(eq=False)
class TrainedNet(Learner):
    """A network with the physics and dynamics it was trained with.

    It opens a session of its own when it first settles, and keeps it until `close` or the end of a `with` block; after
    that it opens another one when it is used again.

    Where the dynamics has noise, every call draws it from a fresh stream of `seed`: the same input gives the same
    answer. Pass `generator` for independent draws.
    """

    @classmethod
    def of(cls, learner: Learner) -> "TrainedNet":
        """What a learner has learnt, with a session of its own."""
        return cls(*(getattr(learner, field.name) for field in attrs.fields(Learner) if field.init))

    @property
    def session(self) -> Session:
        is_new = not self._sessions
        session = super().session
        if is_new:
            session.upload_parameters()
        return session

    @torch.no_grad()
    def settle(self, x: Any, *, generator: torch.Generator | None = None) -> Relaxation:
        """The state that predictions are read from, for inputs x, (B, *input shape), any real array.

        Raises:
            UsageError: x is no array of finite real numbers, empty, or of another shape.
            RunError: it does not settle to a state that can be read.
        """
        source = stream(self.seed, "settle", device=self.like.device) if generator is None else generator
        return self.infer(tensor_of(x, "x", "x").to(self.like), generator=source)

    @torch.no_grad()
    def readout(self, x: Any, *, generator: torch.Generator | None = None) -> Tensor:
        """Read-out at the free state, (B, outputs)."""
        settled = self.settle(x, generator=generator)
        return settled.problem.readout(settled.state)

    def predict(self, x: Any, *, generator: torch.Generator | None = None) -> Tensor:
        """Predicted classes, (B,) int64."""
        return self.cost.predict(self.readout(x, generator=generator))

    def score(self, data: Data, *, generator: torch.Generator | None = None) -> Score:
        """Score on the test split of `data`, or on its training split if it has no other."""
        return self.predictions(data, generator=generator).score()

    def predictions(self, data: Data, *, generator: torch.Generator | None = None) -> Predictions:
        """Labels, predicted classes and read-outs of that split; `to_npz` makes a file of them."""
        split = data_of(data, "data").test or data.train
        return predict_split(self, split, generator=generator)


def load_run(
    path: str | Path, *, registry: Registry | None = None, device: str = "cpu", trust: bool = False
) -> TrainedNet:
    """The trained net of a run directory.

        net = eb.load_run("runs/20260101-120000-mlp-digits-hopfield-c-ep-s0")
        net.predict(x)

    Args:
        path: the run directory.
        registry: where components are looked up; default: all that is installed.
        device: where the net is put, such as "cpu" or "cuda".
        trust: whoever made the directory may run code here: its recipe may name a class, `module:Class`.

    Raises:
        UsageError: no run, no weights, or weights of another network; a recipe that needs trust.
        PluginError: a plugin that the run used is not here.
    """
    path = path_of(path, "load_run")
    registry = registry_of(registry)
    manifest = read_manifest(path)
    here = SettingsLayer({TRAINER: {"device": (device, f"device={device}")}})
    configuration = configure(
        registry,
        [written_recipe(path, trust), here],
        ["model", "energy", "relaxer", "rule", "cost", "backend", TRAINER],
    )
    settings: TrainerSettings = configuration[TRAINER]
    dtype: torch.dtype = getattr(torch, settings.dtype)
    facts = manifest["data"]
    energy, cost, backend = configuration["energy"], configuration["cost"], configuration["backend"]
    network = make_network(
        configuration["model"],
        energy,
        tuple(facts["input_shape"]),
        cost.outputs(facts["classes"]),
        generator=torch.Generator().manual_seed(0),
        device=device,
        dtype=dtype,
    )
    read_weights(path, network)
    relaxer, rule = configuration["relaxer"], configuration["rule"]
    return TrainedNet(network, energy, relaxer, backend, rule, cost, facts["classes"], settings.seed)


def load_run_data(
    path: str | Path, *, data_dir: Path | None = None, registry: Registry | None = None, trust: bool = False
) -> Data:
    """The data that a run was trained on, loaded again and compared with the run's checksum.

    Args:
        path: the run directory.
        data_dir: folder with data files, searched before the places where the run found them.
        registry: where components are looked up; default: all that is installed.
        trust: as for `load_run`.

    Raises:
        UsageError: the data cannot be loaded, or is not the same; a recipe that needs trust.
    """
    path = path_of(path, "load_run_data")
    manifest = read_manifest(path)
    configuration = configure(registry_of(registry), [written_recipe(path, trust)], ["dataset"])
    data, then = load_again(configuration["dataset"], manifest, data_dir), manifest["data"]["checksum"]
    if data.checksum() != then:
        raise UsageError(
            f"the data differs from what the run was trained on ({data.checksum()}, then {then})",
            origin=f"{path / RECIPE} [dataset]",
            advice="use the files of that time, or evaluate with --dataset NAME to say that you mean it",
        )
    return data


def written_recipe(path: Path, trust: bool = False, typed: Sequence[str] = ("eb", "evaluate")) -> SettingsLayer:
    """The recipe in a run directory.

    Args:
        path: the run directory.
        trust: the user vouches for whoever made the directory.
        typed: what a user types before its name, for the advice.

    Raises:
        UsageError: there is none.
    """
    file = path / RECIPE
    vouch = "" if trust else f"{command(*typed, path, '--trust')} (in Python: trust=True)"
    recipe = path.suffix.lower() == ".toml"
    advice = f"a recipe is given with --recipe {path}" if recipe else "give a directory made by 'eb train'"
    return parse_recipe(read_text(file, str(file), advice), str(file), vouch)
