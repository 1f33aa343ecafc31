"""Where a training stands, taken from a trainer and put into another one: all it needs to go on as if never stopped.

    weights/…  best_weights/…  optimiser/PARAMETER/…  carry.units/…  carry.memory/…  sums/…  device/state
    and the reports so far

Random numbers come from (seed, stream, epoch, batch) and learning rates from the epoch, so neither is in it.
"""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from eb_core.settling.state import State
from eb_core.training.checkpoint import Checkpoint, understood, unusable
from eb_core.training.epoch_sums import EpochSums
from eb_core.training.finite import all_finite
from eb_core.training.manifest import CHECKPOINT, is_epoch, is_number, is_usage, is_whole
from eb_core.training.optimiser import apply_gradients, make_optimiser
from eb_core.training.report import EpochReport
from eb_core.training.runs import Run
from eb_core.training.trainer import Trainer

NUMBERS: Final = ("weights/", "best_weights/", "optimiser/", "carry.units/", "sums/loss")
"""What must be finite: the memory of a dynamics and health figures may have their reasons."""


def snapshot(trainer: Trainer, identity: Mapping[str, Any], device: bytes | None = None) -> Checkpoint:
    """Where `trainer` stands; `identity` says of what training (recipe and data), `device` what its session keeps."""
    moments, numbers = _moments(trainer.optimiser)
    tensors = {f"weights/{name}": value for name, value in trainer.network.state_dict().items()}
    tensors |= {f"best_weights/{name}": value for name, value in trainer.best_weights.items()}
    tensors |= {f"optimiser/{name}": value for name, value in moments.items()}
    if trainer.carry is not None:
        tensors |= {f"carry.units/{name}": value for name, value in trainer.carry.units.items()}
        tensors |= {f"carry.memory/{name}": value for name, value in trainer.carry.memory.items()}
    sums = trainer.sums
    tensors |= {"sums/loss": sums.loss, "sums/right": sums.right}
    tensors |= {f"sums/meter/{name}": value for name, value in sums.meter.sums.items()}
    if device is not None:
        tensors["device/state"] = torch.from_numpy(np.frombuffer(device, dtype=np.uint8).copy())
    plain = {
        **identity,
        "reports": [report.record() for report in trainer.reports],
        "best": trainer.best,
        "best_epoch": trainer.best_epoch,
        "optimiser": numbers,
        "carry": trainer.carry is not None,
        "sums": {"done": sums.done, "seconds": sums.seconds, "used": dict(sums.used), "counts": sums.meter.counts},
        "usage": dict(trainer.usage),
    }
    return Checkpoint({name: _copied(value) for name, value in tensors.items()}, plain)


def _copied(value: Tensor) -> Tensor:
    return torch.empty_like(value, device="cpu", memory_format=torch.preserve_format).copy_(value.detach())


def _moments(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """The optimiser's tensors as `parameter/key`, and its plain values by parameter."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for name, parameter in _named(optimiser):
        for key, value in optimiser.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}/{key}"] = value
            else:
                numbers.setdefault(name, {})[key] = value
    return tensors, numbers


def _named(optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Every parameter with its name: `make_optimiser` gives each a group of its own."""
    for group in optimiser.param_groups:
        yield group["name"], group["params"][0]


def restore(trainer: Trainer, checkpoint: Checkpoint, origin: Path) -> None:
    """Put a fresh `trainer` where `checkpoint` says.

    Raises:
        UsageError: the checkpoint is of another network, or does not hold what a checkpoint holds.
    """
    with understood(origin):
        _restore(trainer, checkpoint, origin)


def _restore(trainer: Trainer, checkpoint: Checkpoint, origin: Path) -> None:
    groups: dict[str, dict[str, Tensor]] = {}
    for path, value in checkpoint.tensors.items():
        group, _, name = path.partition("/")
        if group in ("weights", "best_weights", "carry.units") and not value.is_floating_point():
            raise TypeError(f"{path} is of the type {value.dtype}")
        groups.setdefault(group, {})[name] = value.to(trainer.device)
    plain, of_network = _sound(checkpoint.plain), _shapes(trainer.network.state_dict())
    _check_shapes(_shapes(groups.get("weights", {})), of_network, origin)
    if "best_weights" in groups:
        _check_shapes(_shapes(groups["best_weights"]), of_network, origin)
    if plain["carry"]:
        units = groups.get("carry.units", {})
        count = len(next(iter(units.values()), ()))
        _check_shapes(_shapes(units), {one.name: (count, *one.shape) for one in trainer.network.unit_layers}, origin)
        if any(value.shape[:1] != (count,) for value in groups.get("carry.memory", {}).values()):
            raise ValueError(f"the memory of the dynamics is not of {count} samples")
    for weights in (groups[name] for name in ("best_weights", "weights") if name in groups):
        trainer.network.load_state_dict(weights)
        outside = trainer.network.outside()
        if outside:
            raise ValueError(f"{', '.join(outside)}: values that the edge does not allow")
    trainer.best_weights = groups.get("best_weights", {})
    state = _optimiser_state(trainer, checkpoint)
    trainer.optimiser.load_state_dict({**trainer.optimiser.state_dict(), "state": state})
    trainer.carry = State(groups.get("carry.units", {}), groups.get("carry.memory", {})) if plain["carry"] else None
    trainer.reports = checkpoint.reports
    trainer.best = None if plain["best"] is None else tuple(plain["best"])
    trainer.best_epoch = plain["best_epoch"]
    _put_sums(trainer.sums, plain["sums"], groups["sums"])
    trainer.used_before = plain.get("usage", {})
    if "device" in groups:
        trainer.session.restore(groups["device"]["state"].cpu().numpy().tobytes())


def _optimiser_state(trainer: Trainer, checkpoint: Checkpoint) -> dict[int, dict[str, Any]]:
    """What the optimiser keeps of each parameter, by its number; nothing of one that was never updated."""
    wanted = _first_moments(trainer)
    state: dict[int, dict[str, Any]] = {}
    for index, name in enumerate(wanted):
        prefix = f"optimiser/{name}/"
        moments = {path[len(prefix) :]: value for path, value in checkpoint.tensors.items() if path.startswith(prefix)}
        own = {**checkpoint.plain["optimiser"].get(name, {}), **moments}
        if own and _form(own) != _form(wanted[name]):
            raise ValueError(f"the optimiser's moments of '{name}' are {_form(own)}")
        if own:
            state[index] = own
    return state


def _put_sums(into: EpochSums, plain: Mapping[str, Any], sums: dict[str, Tensor]) -> None:
    """Put the sums of the epoch under way into `into`."""
    wrong = [
        name
        for name, value in sums.items()
        if value.ndim or (value.dtype != into.right.dtype if name == "right" else not value.is_floating_point())
    ]
    if wrong:
        raise ValueError(f"the sums {', '.join(wrong)} of the epoch have the wrong shape or type")
    if {f"meter/{name}" for name in plain["counts"]} != {*sums} - {"loss", "right"}:
        raise ValueError("the sums of the epoch and their counts do not belong together")
    into.done, into.seconds, into.used = plain["done"], plain["seconds"], plain.get("used", {})
    into.loss, into.right = sums.pop("loss"), sums.pop("right")
    into.meter.counts = plain["counts"]
    into.meter.sums = {name.removeprefix("meter/"): value for name, value in sums.items()}


def _first_moments(trainer: Trainer) -> dict[str, dict[str, Any]]:
    """What the optimiser of `trainer` keeps of each parameter, as after a first step."""
    network = trainer.fresh_network()
    optimiser = make_optimiser(network, trainer.settings)
    apply_gradients(network, optimiser, {name: torch.zeros_like(one) for name, one in network.named_parameters()})
    return {name: optimiser.state.get(parameter, {}) for name, parameter in _named(optimiser)}


def _form(moments: Mapping[str, Any]) -> dict[str, object]:
    """What kind of value each of them is: shape and whether it is floating, or the Python type."""
    return {
        key: (tuple(value.shape), value.is_floating_point()) if isinstance(value, Tensor) else type(value)
        for key, value in moments.items()
    }


def _sound(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    """The plain values of a checkpoint, each checked: its type, its range, and that scores are finite."""
    best, sums = plain["best"], plain["sums"]
    wrong = [
        name
        for name, is_right in {
            "reports": all(map(is_epoch, plain["reports"])),
            "best": best is None or (len(best) == 2 and all(map(is_number, best))),
            "best_epoch": is_whole(plain["best_epoch"]) and plain["best_epoch"] <= len(plain["reports"]),
            "carry": isinstance(plain["carry"], bool),
            "done": is_whole(sums["done"]),
            "seconds": is_number(sums["seconds"]) and sums["seconds"] >= 0,
            "counts": all(map(is_whole, sums["counts"].values())),
            "usage": is_usage(plain.get("usage", {})) and is_usage(sums.get("used", {})),
        }.items()
        if not is_right
    ]
    if wrong:
        raise ValueError(f"invalid values of {', '.join(wrong)}")
    scores = [{**report, "health": None} for report in plain["reports"]]
    json.dumps([scores, best, sums["seconds"]], allow_nan=False)  # raises ValueError
    return plain


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _check_shapes(saved: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]], origin: Path) -> None:
    for name in wanted | saved:
        if wanted.get(name) != saved.get(name):
            raise unusable(
                origin, f"is of another network: '{name}' is {saved.get(name)} there, {wanted.get(name)} in this one"
            )


class Checkpoints:
    """An observer that saves a training into its run directory: every epoch, and within one as the settings say."""

    def __init__(self, run: Run, trainer: Trainer) -> None:
        self._run, self._trainer = run, trainer
        self._batches, self._since = 0, time.monotonic()

    def batch(self, epoch: int, done: int, total: int) -> None:
        """Save if enough batches or seconds have gone by."""
        self._batches += 1
        seconds, batches = self._trainer.settings.checkpoint_seconds, self._trainer.settings.checkpoint_batches
        is_due = seconds is not None and time.monotonic() - self._since >= seconds
        if is_due or (batches is not None and self._batches >= batches):
            self.write()

    def epoch(self, report: EpochReport) -> None:
        """Save."""
        self.write()

    def write(self) -> None:
        """Save where the training stands, if it stands between two batches and its numbers are finite.

        A device stands further once a batch has begun: what is kept of it is from before.

        Raises:
            RunError: the disk is full, say; the checkpoint before this one is intact.
        """
        if not self._trainer.consistent:
            return
        identity = {"recipe": self._run.manifest["recipe"], "data": self._run.manifest["data"]["checksum"]}
        checkpoint = snapshot(self._trainer, identity, self._trainer.device_state)
        if not all_finite(value for name, value in checkpoint.tensors.items() if name.startswith(NUMBERS)):
            return
        self._run.write(CHECKPOINT, checkpoint.encode())
        self._batches, self._since = 0, time.monotonic()
