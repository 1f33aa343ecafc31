"""What the tests of runs share: parts of a training, trainings that are stopped, and what they leave behind."""

import itertools
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
import safetensors.torch
import torch
from foreign_physics import Chain, Momentum, Springs
from torch import Tensor

import eb_core as eb
from eb_core import (
    Backend,
    Cost,
    Data,
    Dense,
    EpochReport,
    GradientEstimate,
    Lateral,
    Model,
    Network,
    Problem,
    Rule,
    Session,
    State,
    configurable,
    contrast,
)
from eb_core.diagnostics.resistive import Resistive
from eb_core.learning.simulator import SimulatorSession
from eb_core.training import execute


@configurable
class Warm(Rule):
    """Centred equilibrium propagation whose free phase starts where that of the last batch ended, with its memory."""

    def estimate(
        self,
        session: Session,
        x: Tensor,
        target: Tensor,
        cost: Cost,
        *,
        carry: State | None = None,
        generator: torch.Generator | None = None,
    ) -> GradientEstimate:
        problem = Problem.free(session.network, session.energy, x)
        start = carry.select(torch.arange(len(x)) % carry.batch) if carry else None
        free = session.settle(problem, start, generator=generator)
        up, down = (
            session.settle(problem.nudged(cost, target, b), free.state, generator=generator) for b in (0.1, -0.1)
        )
        gradients = contrast(problem, [(5.0, up.state), (-5.0, down.state)])
        readout = problem.readout(free.state)
        phases = {"free": free, "up": up, "down": down}
        return GradientEstimate(gradients, cost.value(readout, target), readout, phases, carry=up.state)


@configurable
class Wide(Chain):
    """Another network."""

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        edges = [Dense("input", "hidden1", input_shape, (9,)), Dense("hidden1", "output", (9,), (outputs,))]
        return Network([("input", input_shape), ("hidden1", (9,)), ("output", (outputs,))], edges)


@configurable
class Conductors(Model):
    """Conductances between the layers, and signed couplings within the hidden one."""

    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        layers = [("input", input_shape), ("hidden", (5,)), ("output", (outputs,))]
        edges = [Resistive(a, b, one, other) for (a, one), (b, other) in itertools.pairwise(layers)]
        return Network(layers, [*edges, Lateral("hidden", (5,))])


class Lamp:
    """A device that breaks when it is told to."""

    programs = 0
    breaks_at = -1
    closes = True


class Lit(SimulatorSession):
    def upload_parameters(self) -> None:
        Lamp.programs += 1
        if Lamp.programs == Lamp.breaks_at:
            raise OSError("the lamp went out")

    def close(self) -> None:
        if not Lamp.closes:
            raise OSError("the switch is stuck")


@configurable
class Lights(Backend):
    def open(self, network: Any, energy: Any, relaxer: Any, **_: Any) -> Lit:
        return Lit(network, energy, relaxer)


PARTS: dict[str, Any] = {
    "model": Chain(),
    "energy": Springs(),
    "relaxer": Momentum(steps=4, nudged_steps=4),
    "rule": Warm(),
}
SETTINGS: dict[str, Any] = {"epochs": 4, "batch_size": 8, "lr": 0.05, "validation": 0.25}


def clouds(offset: float = 0.0) -> Data:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(44) % 2
    x = torch.randn(44, 4, generator=generator) * 0.9 + (2 * y.unsqueeze(1) - 1) + offset
    return Data.from_arrays(x, y, test=(x + 0.1, y))


class Killed(Exception):
    """What stands here for SIGKILL: nothing is saved on the way out."""


@attrs.frozen
class StopAt:
    """An observer that stops a training after a batch."""

    at: int
    batch_of: int
    error: type[BaseException]

    def batch(self, epoch: int, done: int, total: int) -> None:
        if (epoch, done) == (self.at, self.batch_of):
            raise self.error

    def epoch(self, report: EpochReport) -> None:
        pass


def stopped(folder: Path, at: tuple[int, int] = (2, 3), error: type[BaseException] = Killed, **trainer: Any) -> Path:
    """The directory of a run that was stopped after batch `at[1]` of epoch `at[0]`, counted from 0."""
    parts = {name: trainer.pop(name, part) for name, part in PARTS.items()}
    with pytest.MonkeyPatch.context() as patch:
        if error is Killed:
            patch.setattr(execute, "_record_end", lambda *_: None)
        with pytest.raises(error):
            eb.train(**parts, data=clouds(), out=folder, observers=[StopAt(*at, error)], **(SETTINGS | trainer))
    (path,) = folder.iterdir()
    return path


def whole(folder: Path, **trainer: Any) -> Path:
    parts = {name: trainer.pop(name, part) for name, part in PARTS.items()}
    path = eb.train(**parts, data=clouds(), out=folder, **(SETTINGS | trainer)).path
    assert path is not None
    return path


def outcome(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Weights, metrics and manifest of a run, without times and what says that it was resumed."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    manifest = json.loads((path / "manifest.json").read_text())
    for name in ("started", "ended", "process", "resumed"):
        manifest.pop(name, None)
    for line in lines:
        line.pop("seconds")
    weights = safetensors.torch.load((path / "weights.safetensors").read_bytes())
    return {name: value.numpy().tobytes() for name, value in weights.items()}, lines, manifest
