"""torch's optimisers with learning rates by parameter name, and the one place where gradients reach them."""

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from eb_core.network.network import Network
from eb_core.registry import Fault, UsageError, did_you_mean
from eb_core.training.settings import TrainerSettings


def make_optimiser(network: Network, settings: TrainerSettings) -> torch.optim.Optimizer:
    """One parameter group per parameter, called by its name.

    Raises:
        UsageError: a pattern of `layer_lr` fits no parameter.
    """
    parameters = dict(network.named_parameters())
    faults = [
        Fault(
            f"layer_lr: the pattern '{pattern}' fits no parameter",
            "[trainer] layer_lr",
            did_you_mean(pattern, parameters),
        )
        for pattern in settings.layer_lr
        if not any(fnmatchcase(name, pattern) for name in parameters)
    ]
    if faults:
        raise UsageError(*faults)
    groups = [
        {"params": [parameter], "name": name, "lr": _rate(name, settings)} for name, parameter in parameters.items()
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum, weight_decay=settings.weight_decay)
    return torch.optim.Adam(groups, weight_decay=settings.weight_decay)


def _rate(name: str, settings: TrainerSettings) -> float:
    fitting = [rate for pattern, rate in settings.layer_lr.items() if fnmatchcase(name, pattern)]
    return fitting[-1] if fitting else settings.lr


def schedule_rates(optimiser: torch.optim.Optimizer, settings: TrainerSettings, epoch: int) -> None:
    """Set the learning rates of `epoch` (from 0): a function of the epoch alone, so resuming is exact.

    cosine: lr_min + (lr - lr_min) (1 + cos(pi epoch / epochs)) / 2;  exponential: lr * lr_decay^epoch.
    """
    for group in optimiser.param_groups:
        first = group.setdefault("initial_lr", group["lr"])
        if settings.schedule == "cosine":
            low = min(settings.lr_min, first)
            group["lr"] = low + (first - low) * (1 + math.cos(math.pi * epoch / settings.epochs)) / 2
        elif settings.schedule == "exponential":
            group["lr"] = first * settings.lr_decay**epoch


def apply_gradients(network: Network, optimiser: torch.optim.Optimizer, gradients: Mapping[str, Tensor]) -> None:
    """One optimiser step along an estimate; parameters of edges then go back to the values that the edges allow."""
    for name, parameter in network.named_parameters():
        parameter.grad = gradients.get(name)
    optimiser.step()
    network.project_()
    for parameter in network.parameters():
        parameter.grad = None
