"""A trained net, from a training or a run directory: ready to settle, read out and predict."""

from typing import Any

import attrs
import torch
from torch import Tensor

from eb_core.data.arrays import tensor_of
from eb_core.data.data import Data
from eb_core.learning.learner import Learner
from eb_core.learning.session import Session
from eb_core.settling.relaxer import Relaxation
from eb_core.training.asked import data_of
from eb_core.training.evaluation import Predictions, Score, predict_split
from eb_core.training.streams import stream


@attrs.frozen(eq=False)
class TrainedNet(Learner):
    """A network with the physics and dynamics it was trained with.

    It opens a session of its own when it first settles, and keeps it until `close` or the end of a `with` block; after
    that it opens another one when it is used again.

    Where the dynamics has noise, every call draws it from a fresh stream of `seed`: the same input gives the same
    answer. Pass `generator` for independent draws.
    """

    @classmethod
    def of(cls, learner: Learner) -> "TrainedNet":
        """What a learner has learnt, with a session of its own."""
        return cls(*(getattr(learner, field.name) for field in attrs.fields(Learner) if field.init))

    @property
    def session(self) -> Session:
        is_new = not self._sessions
        session = super().session
        if is_new:
            session.upload_parameters()
        return session

    @torch.no_grad()
    def settle(self, x: Any, *, generator: torch.Generator | None = None) -> Relaxation:
        """The state that predictions are read from, for inputs x, (B, *input shape), any real array.

        Raises:
            UsageError: x is no array of finite real numbers, empty, or of another shape.
            RunError: it does not settle to a state that can be read.
        """
        source = stream(self.seed, "settle", device=self.like.device) if generator is None else generator
        return self.infer(tensor_of(x, "x", "x").to(self.like), generator=source)

    @torch.no_grad()
    def readout(self, x: Any, *, generator: torch.Generator | None = None) -> Tensor:
        """Read-out at the free state, (B, outputs)."""
        settled = self.settle(x, generator=generator)
        return settled.problem.readout(settled.state)

    def predict(self, x: Any, *, generator: torch.Generator | None = None) -> Tensor:
        """Predicted classes, (B,) int64."""
        return self.cost.predict(self.readout(x, generator=generator))

    def score(self, data: Data, *, generator: torch.Generator | None = None) -> Score:
        """Score on the test split of `data`, or on its training split if it has no other."""
        return self.predictions(data, generator=generator).score()

    def predictions(self, data: Data, *, generator: torch.Generator | None = None) -> Predictions:
        """Labels, predicted classes and read-outs of that split; `to_npz` makes a file of them."""
        split = data_of(data, "data").test or data.train
        return predict_split(self, split, generator=generator)
