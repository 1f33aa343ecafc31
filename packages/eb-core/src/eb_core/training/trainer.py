"""The trainer: a plain loop from data to weights.

    for each epoch, for each batch:   estimate = rule.estimate(session, x, target, cost)
                                      optimiser step along estimate.gradients
                                      session.program()

Model selection uses a validation split taken from the training data; test data is looked at once, at the end.
"""

import math
import time
from collections.abc import Iterator
from typing import Any, Protocol

import attrs
import torch
from torch import Tensor

from eb_core.learning.backend import Backend, Session
from eb_core.learning.rule import GradientEstimate, Rule
from eb_core.registry import Configuration, RunError, UsageError
from eb_core.registry.recipes import TRAINER
from eb_core.settling.state import State
from eb_core.things.cost import Cost
from eb_core.things.data import Data, Split
from eb_core.things.energy import Energy
from eb_core.things.network import Model, Network
from eb_core.training.evaluation import Score, evaluate_split
from eb_core.training.health import Health, HealthMeter
from eb_core.training.optimiser import apply_gradients, make_optimiser, schedule_rates
from eb_core.training.settings import TrainerSettings
from eb_core.training.streams import stream

FINITE_CHECK_EVERY = 50
"""Batches between two looks at the loss; each one waits for the device."""


@attrs.frozen
class EpochReport:
    """What one epoch did; one line of `metrics.jsonl`."""

    epoch: int
    lr: float
    train: Score
    validation: Score | None
    health: Health
    seconds: float

    def record(self) -> dict[str, Any]:
        """Plain values, None left out."""
        return attrs.asdict(self, filter=lambda _, value: value is not None)


class Observer(Protocol):
    """Somebody who watches a training: a progress bar, a run directory."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        """A batch is done."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is done."""


class Trainer:
    """Everything one training needs, built from a configuration and data; `fit` runs it.

    Attributes:
        network: the weights; after `fit`, those that model selection kept.
        reports: one per finished epoch.
    """

    def __init__(self, configuration: Configuration, data: Data) -> None:
        self.settings: TrainerSettings = configuration[TRAINER]
        self.data = data
        self.energy: Energy = configuration["energy"]
        self.cost: Cost = configuration["cost"]
        self.rule: Rule = configuration["rule"]
        self.device = torch.device(self.settings.device)
        self.dtype: torch.dtype = getattr(torch, self.settings.dtype)
        self.network = make_network(
            configuration["model"],
            self.energy,
            data.input_shape,
            self.cost.outputs(data.classes),
            generator=stream(self.settings.seed, "init"),
            device=self.device,
            dtype=self.dtype,
        )
        self.optimiser = make_optimiser(self.network, self.settings)
        self.train_split, self.validation_split = split_off(data.train, self.settings)
        backend: Backend = configuration["backend"]
        self.session: Session = backend.open(
            self.network, self.energy, configuration["relaxer"], device=self.device, dtype=self.dtype
        )
        self.reports: list[EpochReport] = []
        self.carry: State | None = None
        self.best: tuple[float, float] | None = None
        self.best_epoch = 0
        self._kept: dict[str, Tensor] = {}

    def fit(self, *observers: Observer) -> None:
        """Train for all epochs, then put the selected weights into the network.

        Raises:
            RunError: the loss is no longer finite.
        """
        try:
            for epoch in range(len(self.reports), self.settings.epochs):
                report = self._epoch(epoch, observers)
                self.reports.append(report)
                self._select(report)
                for observer in observers:
                    observer.epoch(report)
        finally:
            if self._kept:
                self.network.load_state_dict(self._kept)
                self.session.program()

    def test(self) -> Score | None:
        """Score of the current weights on the test split, or None if there is none."""
        if self.data.test is None:
            return None
        return evaluate_split(self.session, self.cost, self.data.test, self.data.classes, seed=self.settings.seed)

    def _epoch(self, epoch: int, observers: tuple[Observer, ...]) -> EpochReport:
        started = time.perf_counter()
        schedule_rates(self.optimiser, self.settings, epoch)
        meter = HealthMeter(self.network, self.energy)
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        total = math.ceil(len(self.train_split) / self.settings.batch_size)
        self.session.program()
        for index, (x, labels) in enumerate(self._batches(epoch)):
            estimate = self._estimate(x, labels, epoch, index)
            self.carry = estimate.carry
            apply_gradients(self.network, self.optimiser, estimate.gradients)
            self.session.program()
            loss += estimate.loss.sum()
            right += (self.cost.predict(estimate.readout) == labels).sum()
            meter.add(estimate)
            if index % FINITE_CHECK_EVERY == 0 or index + 1 == total:
                self._check_finite(estimate.loss, epoch, index)
            for observer in observers:
                observer.batch(epoch, index + 1, total)
        count = len(self.train_split)
        return EpochReport(
            epoch + 1,
            max(group["lr"] for group in self.optimiser.param_groups),
            Score(float(loss) / count, int(right) / count, count),
            self._validate(),
            meter.read(),
            time.perf_counter() - started,
        )

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self.train_split)
        order = torch.randperm(count, generator=stream(self.settings.seed, "shuffle", epoch))
        for rows in torch.split(order, self.settings.batch_size):
            batch = self.train_split.take(rows)
            yield batch.x.to(device=self.device, dtype=self.dtype), batch.y.to(self.device)

    def _estimate(self, x: Tensor, labels: Tensor, epoch: int, index: int) -> GradientEstimate:
        target = self.cost.encode(labels, self.data.classes, self.energy, self.dtype)
        generator = stream(self.settings.seed, "settle", epoch + 1, index, self.device)
        return self.rule.estimate(self.session, x, target, self.cost, carry=self.carry, generator=generator)

    def _check_finite(self, loss: Tensor, epoch: int, index: int) -> None:
        if not bool(torch.isfinite(loss).all()):
            raise RunError(
                f"the loss is not finite in epoch {epoch + 1}, batch {index + 1}",
                origin="the training loop",
                advice="lower lr or the gain of the model; the weights of the best epoch so far are kept",
            )

    def _validate(self) -> Score | None:
        split = self.validation_split
        return (
            evaluate_split(self.session, self.cost, split, self.data.classes, seed=self.settings.seed)
            if split
            else None
        )

    def _select(self, report: EpochReport) -> None:
        """Keep these weights if they are the best so far: higher accuracy, at equal accuracy lower loss."""
        if report.validation is None or self.settings.select == "last":
            self.best_epoch = report.epoch
            return
        merit = (report.validation.accuracy, -report.validation.loss)
        if self.best is None or merit > self.best:
            self.best, self.best_epoch = merit, report.epoch
            self._kept = {name: value.clone() for name, value in self.network.state_dict().items()}


def make_network(
    model: Model,
    energy: Energy,
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Network:
    """A network built by `model`, its weights drawn by `energy`; drawn in float64 on the CPU, then converted.

    Raises:
        UsageError: the energy cannot run on this wiring.
    """
    network = model.build(input_shape, outputs).double()
    reason = energy.why_not(network)
    if reason:
        raise UsageError(f"this model does not fit this energy: {reason}", advice="choose another model or energy")
    energy.init_(network, generator)
    return network.to(device=device, dtype=dtype)


def split_off(train: Split, settings: TrainerSettings) -> tuple[Split, Split | None]:
    """Training and validation rows, drawn from the seed's own stream.

    Raises:
        UsageError: a validation share is asked for and one of the two parts would be empty.
    """
    if not settings.validation:
        return train, None
    held_out = round(settings.validation * len(train))
    if not 0 < held_out < len(train):
        raise UsageError(
            f"a validation share of {settings.validation:g} of {len(train)} samples leaves an empty split",
            origin="[trainer] validation",
            advice="set validation = 0, or bring more data",
        )
    order = torch.randperm(len(train), generator=stream(settings.seed, "split"))
    return train.take(order[held_out:].sort().values), train.take(order[:held_out].sort().values)
