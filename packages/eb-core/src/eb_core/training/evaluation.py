"""How well a network does on a split: infer as its rule does (settle the free phase), read out, compare."""

import io

import attrs
import numpy as np
import torch
from torch import Tensor

from eb_core.data.data import Split
from eb_core.learning.backend import Session
from eb_core.learning.rule import Rule
from eb_core.physics.cost import Cost
from eb_core.registry import UsageError
from eb_core.settling.problem import Problem
from eb_core.training.streams import stream


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
    rule: Rule,
    session: Session,
    cost: Cost,
    split: Split,
    classes: int,
    *,
    seed: int = 0,
    generator: torch.Generator | None = None,
    batch_size: int = 256,
) -> Predictions:
    """Predictions on a whole split; noise, if the dynamics has any, is drawn from `generator`, or the stream of `seed`.

    Raises:
        UsageError: the samples do not fit the network, or have labels that it has no class for.
    """
    if int(split.y.max()) >= classes:
        raise UsageError(
            f"label {int(split.y.max())} for a network of {classes} classes",
            origin="the data",
            advice="take a data set with the classes that the network learnt",
        )
    weight = next(session.network.parameters())
    parts = []
    for index, first in enumerate(range(0, len(split), batch_size)):
        rows = slice(first, first + batch_size)
        x = split.x[rows].to(device=weight.device, dtype=weight.dtype)
        labels = split.y[rows].to(weight.device)
        problem = Problem.free(session.network, session.energy, x)
        source = generator or stream(seed, "settle", epoch=0, batch=index, device=weight.device)
        readout = problem.readout(rule.infer(session, problem, generator=source).state)
        target = cost.encode(labels, classes, session.energy, x.dtype)
        parts.append((labels, cost.predict(readout), readout, cost.value(readout, target)))
    return Predictions(*(torch.cat(column) for column in zip(*parts, strict=True)))


def evaluate_split(
    rule: Rule, session: Session, cost: Cost, split: Split, classes: int, *, seed: int = 0, batch_size: int = 256
) -> Score:
    """Score of a whole split; noise, if the dynamics has any, is drawn from the stream of `seed`."""
    return predict_split(rule, session, cost, split, classes, seed=seed, batch_size=batch_size).score()
