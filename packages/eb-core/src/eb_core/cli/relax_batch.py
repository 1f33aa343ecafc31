"""The batch of `eb relax`: what was asked for, and the samples and the network that settle."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from eb_core.registry import Configuration, Registry
from eb_core.registry.recipes import TRAINER

if TYPE_CHECKING:
    import torch

    from eb_core.data.data import Data
    from eb_core.network.network import Network
    from eb_core.settling.problem import Problem


@attrs.frozen
class Asked:
    """What was typed beside the settings.

    Args:
        run: whose weights settle; None for fresh ones.
        dataset: name of other data than those of the run, or None.
        notes: what was said on the way.
    """

    registry: Registry
    run: Path | None
    data_dir: Path | None
    dataset: str | None
    trust: bool
    beta: float
    steps: int
    batch: int
    repeats: int
    plot: Path | None
    as_json: bool
    notes: Sequence[str] = ()


@attrs.frozen(eq=False)
class Batch:
    """Samples, the network that they are shown to, and the free phase of both."""

    made: Configuration
    data: "Data"
    network: "Network"
    free: "Problem"

    @classmethod
    def of(cls, asked: Asked, made: Configuration) -> "Batch":
        """Load the data and build the network, with the weights of the run or fresh ones.

        Raises:
            UsageError: data or weights cannot be used.
        """
        from eb_core.settling.problem import Problem

        data = _data(asked, made)
        network = _network(asked.run, made, data)
        rows = (data.test or data.train).x[: asked.batch].to(next(network.parameters()))
        return cls(made, data, network, Problem.free(network, made["energy"], rows))

    @property
    def device(self) -> "torch.device":
        """Where the tensors are."""
        return self.free.x.device

    def nudged(self, beta: float) -> "Problem":
        """The phase that pulls towards the targets."""
        labels = (self.data.test or self.data.train).y[: self.free.batch].to(self.device)
        cost, energy = self.made["cost"], self.made["energy"]
        target = cost.encode(labels, self.data.classes, energy, self.free.x.dtype)
        return self.free.nudged(cost, target, beta)

    def facts(self, asked: Asked) -> dict[str, Any]:
        """What is said of it above the table."""
        settings = self.made[TRAINER]
        return {
            "model": self.made.sections["model"].name if asked.run is None else str(asked.run),
            "energy": self.made.sections["energy"].name,
            "data": self.data.name,
            "samples": self.free.batch,
            "beta": asked.beta,
            "steps": asked.steps,
            "repeats": asked.repeats,
            "seed": settings.seed,
            "dtype": settings.dtype,
            "threads": settings.threads,
        }


def _data(asked: Asked, made: Configuration) -> "Data":
    if asked.run is not None and asked.dataset is None:
        from eb_core.training.loading import load_run_data

        return load_run_data(asked.run, data_dir=asked.data_dir, registry=asked.registry, trust=asked.trust)
    loaded: Data = made["dataset"].load(asked.data_dir)
    return loaded


def _network(run: Path | None, made: Configuration, data: "Data") -> "Network":
    import torch

    from eb_core.training.build import make_network
    from eb_core.training.streams import stream
    from eb_core.training.weights import read_weights

    settings = made[TRAINER]
    network = make_network(
        made["model"],
        made["energy"],
        data.input_shape,
        made["cost"].outputs(data.classes),
        generator=stream(settings.seed, "init"),
        device=settings.device,
        dtype=getattr(torch, settings.dtype),
    )
    if run is not None:
        read_weights(run, network)
    return network
