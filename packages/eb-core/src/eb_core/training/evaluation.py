"""How well a network does on a split: infer as its rule does (settle the free phase), read out, compare."""

import io
from typing import Final

import attrs
import numpy as np
import torch
from torch import Tensor

from eb_core.data.data import Split
from eb_core.learning.learner import Learner
from eb_core.registry import UsageError
from eb_core.training.streams import stream

BATCH: Final = 256
"""Samples that are predicted at a time."""


@attrs.frozen
class Score:
    """Mean cost and share of right predictions over `samples`."""

    loss: float
    accuracy: float
    samples: int


@attrs.frozen(eq=False)
class Predictions:
    """What a network says of each of N samples: predicted class (N,) int64, read-out (N, outputs), cost (N,)."""

    labels: Tensor
    predicted: Tensor
    readout: Tensor
    loss: Tensor

    def score(self) -> Score:
        """The means."""
        right = int((self.predicted == self.labels).sum())
        loss = float(self.loss.sum(dtype=torch.float64))
        return Score(loss / len(self.labels), right / len(self.labels), len(self.labels))

    def to_npz(self) -> bytes:
        """A file of numpy's with the arrays `labels`, `predicted` and `readout`."""
        file = io.BytesIO()
        arrays = {"labels": self.labels, "predicted": self.predicted, "readout": self.readout}
        np.savez_compressed(file, **{name: value.cpu().numpy() for name, value in arrays.items()})  # type: ignore[arg-type]
        return file.getvalue()


@torch.no_grad()
def predict_split(
    learner: Learner, split: Split, *, generator: torch.Generator | None = None, batch_size: int = BATCH
) -> Predictions:
    """Predictions on a whole split; noise, if the dynamics has any, is drawn from `generator`, or the learner's seed.

    Raises:
        UsageError: the samples do not fit the network, or have labels that it has no class for.
    """
    if int(split.y.max()) >= learner.classes:
        raise UsageError(
            f"label {int(split.y.max())} for a network of {learner.classes} classes",
            origin="the data",
            advice="take a data set with the classes that the network learnt",
        )
    like, cost, parts = learner.like, learner.cost, []
    for index, first in enumerate(range(0, len(split), batch_size)):
        rows = slice(first, first + batch_size)
        labels = split.y[rows].to(like.device)
        source = generator or stream(learner.seed, "settle", epoch=0, batch=index, device=like.device)
        settled = learner.infer(split.x[rows].to(like), generator=source)
        readout = settled.problem.readout(settled.state)
        parts.append((labels, cost.predict(readout), readout, cost.value(readout, learner.target(labels))))
    return Predictions(*(torch.cat(column) for column in zip(*parts, strict=True)))
