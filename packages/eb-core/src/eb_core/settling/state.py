"""The state of a batch: the units of every layer but the input, and what a dynamics remembers beside them."""

from collections.abc import Callable, Mapping, Sequence

import attrs
import torch
from torch import Tensor

LARGE = 1 << 19
"""Units of a batch above which its phases are no longer joined: it gains little then, and takes memory."""


@attrs.frozen(eq=False)
class State:
    """Units by layer, and a memory that belongs to one dynamics (momentum, say); all batch-first.

    Args:
        units: layer name -> (B, *layer shape).
        memory: free-form name -> (B, …). A relaxer reads what it put there and ignores the rest.
    """

    units: Mapping[str, Tensor]
    memory: Mapping[str, Tensor] = attrs.field(factory=dict)

    def __getitem__(self, layer: str) -> Tensor:
        return self.units[layer]

    @property
    def batch(self) -> int:
        """Number of samples."""
        return len(next(iter(self.units.values())))

    @property
    def large(self) -> bool:
        """Whether several states of this size are better settled one by one than joined to one batch."""
        return sum(value.numel() for value in self.units.values()) > LARGE

    def map(self, function: Callable[[Tensor], Tensor]) -> "State":
        """The state with `function` applied to every tensor."""
        return State(
            {name: function(value) for name, value in self.units.items()},
            {name: function(value) for name, value in self.memory.items()},
        )

    def select(self, rows: Tensor | slice) -> "State":
        """The samples at `rows`: positions, a mask, or a slice (then a view)."""
        return self.map(lambda value: value[rows])

    def detach(self) -> "State":
        """The state cut off from autograd."""
        return self.map(Tensor.detach)

    @staticmethod
    def cat(states: Sequence["State"]) -> "State":
        """Several batches one after the other, with the memory that all of them have."""
        memories = [name for name in states[0].memory if all(name in state.memory for state in states)]
        return State(
            {name: join([state.units[name] for state in states]) for name in states[0].units},
            {name: join([state.memory[name] for state in states]) for name in memories},
        )

    @staticmethod
    def where(rows: Tensor, chosen: "State", others: "State") -> "State":
        """The samples at `rows`, (B,) bool, from one state, the others from another, with the memory of both."""

        def pick(a: Tensor, b: Tensor) -> Tensor:
            return torch.where(rows.view(-1, *[1] * (a.ndim - 1)), a, b)

        return State(
            {name: pick(value, others.units[name]) for name, value in chosen.units.items()},
            {name: pick(value, others.memory[name]) for name, value in chosen.memory.items() if name in others.memory},
        )


def join(batches: Sequence[Tensor]) -> Tensor:
    """Batches one after the other; flat ones that lie samples innermost in memory stay so."""
    first = batches[0]
    if first.ndim == 2 and not first.is_contiguous() and first.t().is_contiguous():
        return torch.cat([batch.t() for batch in batches], dim=1).t()
    return torch.cat(list(batches))
