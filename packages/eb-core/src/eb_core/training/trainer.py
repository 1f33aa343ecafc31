"""The trainer: a plain loop from data to weights.

    for each epoch, for each batch:   estimate = rule.estimate(session, x, target, cost)
                                      optimiser step along estimate.gradients
                                      session.upload_parameters()

Model selection uses a validation split taken from the training data; test data is looked at once, at the end.
"""

import math
from collections.abc import Iterator, Mapping

import attrs
import torch
from torch import Tensor

from eb_core.data.data import Data
from eb_core.learning.fit import notices, require_fit
from eb_core.learning.learner import Learner
from eb_core.learning.rule import GradientEstimate
from eb_core.learning.session import Session
from eb_core.learning.settled import weights_beyond
from eb_core.learning.usage import together
from eb_core.network.network import Model, Network
from eb_core.physics.energy import Energy
from eb_core.registry import Configuration, RunError
from eb_core.registry.recipes import TRAINER
from eb_core.registry.wording import told
from eb_core.settling.state import State
from eb_core.training.budget import require_budget
from eb_core.training.build import make_network
from eb_core.training.diagnosis import Probe
from eb_core.training.epoch_sums import EpochSums
from eb_core.training.estimate import Sizes, beyond_budget, estimate
from eb_core.training.evaluation import Predictions, Score, predict_split
from eb_core.training.finite import all_finite
from eb_core.training.optimiser import apply_gradients, make_optimiser, schedule_rates
from eb_core.training.report import EpochReport, Observer
from eb_core.training.settings import TrainerSettings
from eb_core.training.split import split_off
from eb_core.training.start import Start
from eb_core.training.streams import stream

FINITE_CHECK_EVERY = 50
"""Batches between two looks at the loss; each one waits for the device."""


class Trainer:
    """Everything one training needs, built from a configuration and data; `fit` runs it from where it stands.

    Its first weights are fresh ones, or those of `start`.

    Where it stands is all in these attributes, which a checkpoint saves and restores:

    Attributes:
        learner: the network with its parts, and the session that they settle in.
        network: the weights; after `fit`, those that model selection kept.
        optimiser: with its moments; its learning rates are a function of the epoch.
        carry: what the rule handed to the next batch.
        reports: one per finished epoch.
        sums: sums of the epoch under way, and how many of its batches are done.
        best, best_epoch, best_weights: merit, epoch and weights that model selection has chosen so far.
        notices: what the parts have to say of this training before it starts, each with its advice.
        used_before: what earlier starts of this training used of the device.
        consistent: whether all of this belongs to one moment between two batches, so that it can be saved.
    """

    def __init__(self, configuration: Configuration, data: Data, start: Start | None = None) -> None:
        self._start = start
        self.settings: TrainerSettings = configuration[TRAINER]
        self.data = data
        self._model: Model = configuration["model"]
        self._shapes = data.input_shape, configuration["cost"].outputs(data.classes)
        self._energy: Energy = configuration["energy"]
        self.device = torch.device(self.settings.device)
        self.dtype: torch.dtype = getattr(torch, self.settings.dtype)
        self.network = self.fresh_network()
        parts = {kind: configuration[kind] for kind in ("energy", "relaxer", "backend", "rule", "cost")}
        self.learner = Learner(network=self.network, classes=data.classes, seed=self.settings.seed, **parts)
        setup = attrs.evolve(self.learner.setup, model=self._model)
        require_fit(setup)
        self.optimiser = make_optimiser(self.network, self.settings)
        self.train_split, self.validation_split = split_off(data.train, self.settings)
        sizes = Sizes.of(len(data.train), len(data.test or ()), self.settings)
        expected = estimate(self.learner.backend, self.learner.rule, self.settings, sizes)
        self.notices = [*notices(setup), *beyond_budget(self.settings, expected)]
        self.session: Session = self.learner.session
        self.reports: list[EpochReport] = []
        self.carry: State | None = None
        self.device_state: bytes | None = None  # as it was between two batches, where a resumed training begins
        self.best: tuple[float, float] | None = None
        self.best_epoch = 0
        self.best_weights: dict[str, Tensor] = {}
        self.sums = self._new_sums()
        self.used_before: Mapping[str, float] = {}
        self.consistent = True

    @property
    def usage(self) -> Mapping[str, float]:
        """What this training has used of the device, in all of its starts."""
        return together(self.used_before, self.session.usage)

    def fit(self, *observers: Observer) -> None:
        """Train the epochs that are left, then put the selected weights into the network.

        Raises:
            RunError: the loss, the weights or the optimiser's moments are no longer finite.
        """
        for epoch in range(len(self.reports), self.settings.epochs):
            report = self._epoch(epoch, observers)
            self.consistent = False
            self.reports.append(report)
            self._select(report)
            self.sums = self._new_sums()
            self.consistent = True
            for observer in observers:
                observer.epoch(report)
        self.take_selected()

    def take_selected(self) -> None:
        """Put the weights that model selection kept, if it did, into the network: the end of training."""
        self.consistent = False
        if self.best_weights:
            self.network.load_state_dict(self.best_weights)
            self.session.upload_parameters()

    def selected(self) -> dict[str, Tensor]:
        """The weights that model selection has kept; those of the network, where it keeps none."""
        return self.best_weights or self.network.state_dict()

    def test(self) -> Predictions | None:
        """Predictions of the current weights on the test split, or None if there is none."""
        if self.data.test is None:
            return None
        return predict_split(self.learner, self.data.test)

    def _epoch(self, epoch: int, observers: tuple[Observer, ...]) -> EpochReport:
        sums, total = self.sums, math.ceil(len(self.train_split) / self.settings.batch_size)
        sums.begin(self.session.usage)
        self.device_state = self.session.state()
        schedule_rates(self.optimiser, self.settings, epoch)
        self.session.upload_parameters()
        for index, (x, labels) in self._batches(epoch, sums.done):
            require_budget(self.settings, self.session.usage)
            estimate = self._estimate(x, labels, epoch, index)
            self.consistent = False
            self.carry = estimate.carry
            sums.add(estimate, self.learner.cost.predict(estimate.readout), labels)
            apply_gradients(self.network, self.optimiser, estimate.gradients)
            sums.spend(self.session.usage)
            if self.device_state is not None:
                self.device_state = self.session.state()
            self.consistent = True
            self.session.upload_parameters()
            if index % FINITE_CHECK_EVERY == 0 or index + 1 == total:
                self._check_finite(estimate, epoch, index)
            for observer in observers:
                observer.batch(epoch, index + 1, total)
        validation = self._validate()
        if validation and not math.isfinite(validation.loss):
            raise self._diverged("the validation loss is", epoch, total - 1, weights_beyond(self.network))
        sums.spend(self.session.usage)
        self.device_state = self.session.state()
        return EpochReport(
            epoch + 1,
            max(group["lr"] for group in self.optimiser.param_groups),
            sums.score(len(self.train_split)),
            validation,
            sums.meter.read(),
            sums.seconds,
            self._advice(epoch),
            sums.used,
        )

    def fresh_network(self) -> Network:
        """The network with the weights that training begins with."""
        network = make_network(
            self._model,
            self._energy,
            *self._shapes,
            generator=stream(self.settings.seed, "init"),
            device=self.device,
            dtype=self.dtype,
        )
        if self._start:
            self._start.put(network)
        return network

    def _advice(self, epoch: int) -> tuple[str, ...]:
        """What a look at a few samples advises, after epochs 1, 2, 4, 8, … and the last one; of a simulation only."""
        done, count = epoch + 1, len(self.train_split)
        is_due = not done & epoch or done == self.settings.epochs
        can_be_repeated = self.session.simulates and self.device.type != "mps"  # which knows no float64
        if not is_due or not can_be_repeated:
            return ()
        rows = torch.linspace(0, count - 1, min(16, max(4, count // 128)), dtype=torch.float64).long()
        few = self.train_split.take(rows)
        x, labels = few.x.to(device=self.device, dtype=self.dtype), few.y.to(self.device)
        probe = Probe(self.learner, self.fresh_network, x, labels)
        try:
            return tuple(probe.advice())
        except Exception as error:  # noqa: BLE001 - parts of strangers are run in ways that training does not run them
            return (f"how well it learns could not be measured: {told(error)}",)

    def _new_sums(self) -> EpochSums:
        return EpochSums(self.network, self._energy, self.device)

    def _batches(self, epoch: int, done: int) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
        """The batches of an epoch after the first `done` ones, with their indices."""
        order = torch.randperm(len(self.train_split), generator=stream(self.settings.seed, "shuffle", epoch))
        for index, rows in enumerate(torch.split(order, self.settings.batch_size)):
            if index < done:
                continue
            batch = self.train_split.take(rows)
            x = batch.x.to(device=self.device, dtype=self.dtype)
            if self.data.augment is not None:
                x = self.data.augment(x, stream(self.settings.seed, "augment", epoch, index))
            yield index, (x, batch.y.to(self.device))

    def _estimate(self, x: Tensor, labels: Tensor, epoch: int, index: int) -> GradientEstimate:
        generator = stream(self.settings.seed, "settle", epoch + 1, index, self.device)
        try:
            return self.learner.estimate(x, labels, carry=self.carry, generator=generator)
        except RunError as error:
            beyond = weights_beyond(self.network)
            if beyond is None:
                raise
            raise self._diverged("the loss is", epoch, index, beyond) from error

    def _check_finite(self, estimate: GradientEstimate, epoch: int, index: int) -> None:
        """Stop on a loss, a gradient, weights or moments that are nan or infinite, and say which it was.

        In time before model selection could choose what they came from.
        """
        if not all_finite([estimate.loss, self.sums.loss]):
            raise self._diverged("the loss is", epoch, index, weights_beyond(self.network))
        if not all_finite(estimate.gradients.values()):
            raise RunError(
                f"the gradient is not finite in epoch {epoch + 1}, batch {index + 1}",
                origin="the training loop",
                advice="raise beta of the rule if it is tiny, lower the gain of the model, or use --dtype float64",
            )
        moments = (value for state in self.optimiser.state.values() for value in state.values())
        for what, values in (("the weights are", self.network.parameters()), ("the optimiser's moments are", moments)):
            if not all_finite(value for value in values if isinstance(value, Tensor)):
                raise self._diverged(what, epoch, index, weights_beyond(self.network))

    def _diverged(self, what: str, epoch: int, index: int, beyond: str | None) -> RunError:
        return RunError(
            f"{what} not finite in epoch {epoch + 1}, batch {index + 1}" + (f": {beyond}" if beyond else ""),
            origin="the training loop",
            advice="lower lr or the gain of the model"
            + ("; the weights of the best epoch so far are kept" if self.best_weights else ""),
        )

    def _validate(self) -> Score | None:
        split = self.validation_split
        return predict_split(self.learner, split).score() if split else None

    def _select(self, report: EpochReport) -> None:
        """Keep these weights if they are the best so far: higher accuracy, at equal accuracy lower loss."""
        if report.validation is None or self.settings.select == "last":
            self.best_epoch = report.epoch
            return
        merit = (report.validation.accuracy, -report.validation.loss)
        if self.best is None or merit > self.best:
            self.best, self.best_epoch = merit, report.epoch
            self.best_weights = {name: value.clone() for name, value in self.network.state_dict().items()}
