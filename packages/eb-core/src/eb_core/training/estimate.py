"""How long a device will take, before it starts: from what its capabilities say of one settle.

an epoch = batches x (chunks x (settles of the rule x reads + 1 where the free phase is settled again)
           x settle_seconds + program_seconds) + validation
"""

import math

import attrs

from eb_core.device.backend import DeviceBackend
from eb_core.device.capabilities import Capabilities
from eb_core.learning.backend import Backend
from eb_core.learning.rule import Rule
from eb_core.learning.usage import duration
from eb_core.training.evaluation import BATCH
from eb_core.training.settings import TrainerSettings


@attrs.frozen
class Sizes:
    """Samples of each split."""

    train: int
    validation: int = 0
    test: int = 0

    @classmethod
    def of(cls, loaded: int, test: int, settings: TrainerSettings) -> "Sizes":
        """The splits of so many training samples that were loaded."""
        held_out = round(settings.validation * loaded)
        return cls(loaded - held_out, held_out, test)


@attrs.frozen
class Estimate:
    """What a training will use of a device.

    Args:
        settle_seconds: device time of one settle, of up to `at_once` samples.
        settles_per_batch: of a batch that the device takes at once.
        epoch_seconds, settles, programs: device time of an epoch, its settles and programmings.
        seconds, epochs: of the whole training with its test.
        joules: where the power is known.
    """

    settle_seconds: float
    at_once: int
    settles_per_batch: int
    epoch_seconds: float
    settles: int
    programs: int
    seconds: float
    epochs: int
    joules: float | None

    @property
    def told(self) -> str:
        """In one line."""
        samples = "1 sample" if self.at_once == 1 else f"{self.at_once:,} samples"
        many = f"{self.epochs} epochs" if self.epochs > 1 else "1 epoch"
        energy = f", {self.joules:.3g} J" if self.joules is not None else ""
        return (
            f"at {duration(self.settle_seconds)} for a settle of {samples}, {self.settles_per_batch} settles a batch:"
            f" {duration(self.epoch_seconds)} an epoch ({self.settles:,} settles, {self.programs:,} programmings),"
            f" {duration(self.seconds)} for {many}{energy}"
        )


@attrs.frozen
class _Phase:
    """One phase of so many samples: device time, settles with their reads, and calls."""

    seconds: float
    settles: int
    calls: int


def estimate(backend: Backend, rule: Rule, settings: TrainerSettings, sizes: Sizes) -> Estimate | None:
    """What the training will use, or None where no device says how long it settles."""
    if not isinstance(backend, DeviceBackend):
        return None
    can = backend.capabilities()
    if can.settle_seconds is None:
        return None
    often = settles_of(rule, can, backend.reads)
    full, rest = divmod(sizes.train, settings.batch_size)
    batches = [(full, settings.batch_size), (1, rest)] if rest else [(full, settings.batch_size)]
    seconds, settles, calls = 0.0, 0, 0
    for count, size in batches:
        phase = _phase(size, can)
        seconds += count * often * phase.seconds
        settles += count * often * phase.settles
        calls += count * often * phase.calls
    seen = _looked_at(sizes.validation, can, backend.reads)
    tested = _looked_at(sizes.test, can, backend.reads)
    programs = calls + seen.calls if can.programs_per == "settle" else full + bool(rest)
    of_program = can.program_seconds or 0.0
    epoch = seconds + seen.seconds + programs * of_program
    last = tested.calls if can.programs_per == "settle" else _programs_at_the_end(settings, sizes)
    whole = settings.epochs * epoch + tested.seconds + last * of_program
    return Estimate(
        can.settle_seconds,
        can.at_once,
        often,
        epoch,
        settles + seen.settles,
        programs,
        whole,
        settings.epochs,
        None if can.watts is None else can.watts * whole,
    )


def settles_of(rule: Rule, can: Capabilities, reads: int = 1) -> int:
    """How often a device settles a batch, each read counted.

    Where only `last` leads to the free state, it is settled anew for the third phase, and read but once; see
    `DeviceSession.settle`.
    """
    again = rule.settles > 2 and "last" in can.starts and "write" not in can.starts
    return rule.settles * reads + again


def _programs_at_the_end(settings: TrainerSettings, sizes: Sizes) -> int:
    """Programmings after the last batch: of its weights if they are looked at, of the selected ones for the test."""
    selected = bool(sizes.test and sizes.validation) and settings.select == "best"
    return bool(sizes.test or sizes.validation) + selected


def _phase(samples: int, can: Capabilities, reads: int = 1) -> _Phase:
    most = can.max_batch or max(samples, 1)
    full, rest = divmod(samples, most)
    seconds = full * (can.seconds_of(most) or 0.0) + (can.seconds_of(rest) or 0.0)
    calls = full + bool(rest)
    return _Phase(reads * seconds, reads * calls, calls)


def _looked_at(samples: int, can: Capabilities, reads: int) -> _Phase:
    """One phase of a split, in the batches that predictions are made in."""
    full, rest = divmod(samples, BATCH)
    whole, part = _phase(BATCH, can, reads), _phase(rest, can, reads)
    return _Phase(
        full * whole.seconds + part.seconds, full * whole.settles + part.settles, full * whole.calls + part.calls
    )


def beyond_budget(settings: TrainerSettings, found: Estimate | None) -> list[str]:
    """What to know if the budget will not do."""
    budget = settings.device_seconds
    if budget is None or found is None or math.ceil(found.seconds) <= budget:
        return []
    return [
        f"the training will take about {duration(found.seconds)} of the device, and the budget is {duration(budget)}:"
        " it will stop there with a checkpoint, and --resume goes on"
    ]
