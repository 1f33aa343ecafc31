"""The validation split: rows of the training data set aside for model selection, drawn from the seed's own stream."""

import torch

from eb_core.data.data import Split
from eb_core.registry import UsageError
from eb_core.training.settings import TrainerSettings
from eb_core.training.streams import stream


def split_off(train: Split, settings: TrainerSettings) -> tuple[Split, Split | None]:
    """Training and validation rows.

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
