"""What was noted of a step or of a look at the state, and whether it may be repeated."""

import attrs
import torch
from torch import Tensor

from eb_core.settling.tape import Call, Guard

Name = tuple[str, str]
"""("units", layer) or ("memory", name)."""
Key = tuple[tuple[Name, int], ...]
"""Which of its two buffers each layer and each tensor of the memory is in."""

SAME = 1e3
"""Machine epsilons that what is repeated and what it repeats may differ by."""


@attrs.define(eq=False)
class Noted:
    """An iteration that was noted: its calls, and how the view stands at its end.

    Attributes:
        prologue: calls to make once a phase; guards: what they must give.
        at_rest: layers without a residual.
        proofs: phases in which it was compared with the step; proved_in: the last one.
    """

    prologue: list[Call]
    guards: list[Guard]
    calls: list[Call]
    end: Key
    at_rest: frozenset[str]
    proofs: int = 0
    proved_in: int = -1


@attrs.define(eq=False)
class Look:
    """A function of the state that was noted, and where its result lies."""

    prologue: list[Call]
    guards: list[Guard]
    calls: list[Call]
    result: Tensor
    proofs: int = 0
    proved_in: int = -1


def begin(noted: Noted | Look) -> bool:
    """Make the calls that belong to the start of a phase; whether what was noted holds in this phase."""
    for call in noted.prologue:
        call()
    return all(look() == value for look, value in noted.guards)


def agree(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same but for rounding."""
    if not a.is_floating_point():
        return torch.equal(a, b)
    near = SAME * torch.finfo(a.dtype).eps
    return torch.allclose(a, b, rtol=near, atol=near, equal_nan=True)
