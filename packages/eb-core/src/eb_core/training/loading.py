"""What a run directory holds, loaded again: its net, on its own backend or another one, and its data.

net = eb.load_run("runs/20260101-120000-mlp-digits-hopfield-c-ep-s0")
net.predict(x)
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import attrs
import torch

from eb_core.data.data import Data
from eb_core.learning.fit import notices, refusals
from eb_core.registry import Configuration, Registry, SettingsLayer, UsageError
from eb_core.registry.errors import raise_if_any
from eb_core.registry.recipes import TRAINER
from eb_core.training.asked import path_of, registry_of
from eb_core.training.build import make_network
from eb_core.training.layers import Choice, layer_of
from eb_core.training.manifest import RECIPE, read_manifest
from eb_core.training.places import load_again
from eb_core.training.prepare import configure, infers_by_settling, names_in
from eb_core.training.report import Notice
from eb_core.training.settings import TrainerSettings
from eb_core.training.trained import TrainedNet
from eb_core.training.weights import read_weights
from eb_core.training.written import written_recipe

KINDS = ("model", "energy", "relaxer", "rule", "cost", "backend", TRAINER)


def load_run(
    path: str | Path,
    *,
    backend: Choice | None = None,
    relaxer: Choice | None = None,
    registry: Registry | None = None,
    device: str = "cpu",
    trust: bool = False,
) -> TrainedNet:
    """The trained net of a run directory; the command `eb evaluate` scores it.

        net = eb.load_run("runs/20260101-120000-mlp-digits-hopfield-c-ep-s0")
        net.predict(x)

    Args:
        path: the run directory.
        backend: where it settles, if not where it was trained: a name, `{"name": …, option: value}`, or an instance.
        relaxer: how it settles in a simulation, if not as it was trained, likewise.
        registry: where components are looked up; default: all that is installed.
        device: where the net is put, such as "cpu" or "cuda".
        trust: whoever made the directory may run code here: its recipe may name a class, `module:Class`.

    What another backend has to say of the net, and options that do nothing, are warnings of the class `Notice`.

    Raises:
        UsageError: no run, no weights, or weights of another network; a recipe that needs trust; a backend that the net
            does not fit, with what is needed and what there is.
        PluginError: a plugin that the run used is not here.
    """
    layer = layer_of({"backend": backend, "relaxer": relaxer})
    net, configuration = load_with(path_of(path, "load_run"), [layer], registry_of(registry), device, trust)
    for note in configuration.notes:
        warnings.warn(note, Notice, stacklevel=2)
    return net


def load_with(
    path: Path, layers: Sequence[SettingsLayer], registry: Registry, device: str, trust: bool
) -> tuple[TrainedNet, Configuration]:
    """The net of a run with other settings over its own, and all settings; their notes say what these change.

    Raises:
        UsageError, PluginError: as `load_run`.
    """
    manifest = read_manifest(path)
    here = SettingsLayer({TRAINER: {"device": (device, f"device={device}")}})
    below = attrs.evolve(written_recipe(path, trust), is_default=True)
    configuration = configure(registry, [below, here, *layers], KINDS, learns=False)
    settings: TrainerSettings = configuration[TRAINER]
    dtype: torch.dtype = getattr(torch, settings.dtype)
    facts = manifest["data"]
    model, energy, cost, rule = (configuration[kind] for kind in ("model", "energy", "cost", "rule"))
    network = make_network(
        model,
        energy,
        tuple(facts["input_shape"]),
        cost.outputs(facts["classes"]),
        generator=torch.Generator().manual_seed(0),
        device=device,
        dtype=dtype,
    )
    read_weights(path, network)
    relaxer, backend = configuration["relaxer"], configuration["backend"]
    net = TrainedNet(network, energy, relaxer, backend, rule, cost, facts["classes"], settings.seed)
    if not any(layer.sections or layer.instances for layer in layers):
        return net, attrs.evolve(configuration, notes=())
    setup = attrs.evolve(net.setup, model=model, rule=None if infers_by_settling(rule) else rule)
    raise_if_any(refusals(setup, names_in(configuration)))
    return net, attrs.evolve(configuration, notes=(*configuration.notes, *notices(setup)))


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
