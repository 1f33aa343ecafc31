"""How well a network does on a split: infer as its rule does (settle the free phase), read out, compare."""

import attrs
import torch

from eb_core.learning.backend import Session
from eb_core.learning.rule import Rule
from eb_core.settling.problem import Problem
from eb_core.things.cost import Cost
from eb_core.things.data import Split
from eb_core.training.streams import stream


@attrs.frozen
class Score:
    """Mean cost and share of right predictions over `samples`."""

    loss: float
    accuracy: float
    samples: int


@torch.no_grad()
def evaluate_split(
    rule: Rule, session: Session, cost: Cost, split: Split, classes: int, *, seed: int = 0, batch_size: int = 256
) -> Score:
    """Score of a whole split; noise, if the dynamics has any, is drawn from the stream of `seed`."""
    weight = next(session.network.parameters())
    loss = torch.zeros((), dtype=torch.float64, device=weight.device)
    right = torch.zeros((), dtype=torch.int64, device=weight.device)
    for index, first in enumerate(range(0, len(split), batch_size)):
        rows = slice(first, first + batch_size)
        x = split.x[rows].to(device=weight.device, dtype=weight.dtype)
        labels = split.y[rows].to(weight.device)
        problem = Problem.free(session.network, session.energy, x)
        generator = stream(seed, "settle", epoch=0, batch=index, device=weight.device)
        readout = problem.readout(rule.infer(session, problem, generator=generator).state)
        target = cost.encode(labels, classes, session.energy, x.dtype)
        loss += cost.value(readout, target).sum()
        right += (cost.predict(readout) == labels).sum()
    return Score(float(loss) / len(split), int(right) / len(split), len(split))
