"""What was noted of a step or of a look at the state, and whether it may be repeated."""

import warnings

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


PROOFS = 2
"""Phases in which what was noted is first compared with what it repeats."""
LATER = 64
"""Uses after which it is compared once more; then again after four times as many, and so on."""


@attrs.define(eq=False, kw_only=True)
class Repeatable:
    """Calls that were noted, and what is known of their truth.

    Attributes:
        prologue: calls to make once a phase; guards: what they must give.
        uses: how often the calls were made, next_proof: and after how many uses they are compared anew.
        proofs: phases in which they were compared; proved_in: the last one.
    """

    prologue: list[Call]
    guards: list[Guard]
    calls: list[Call]
    proofs: int = 0
    proved_in: int = -1
    uses: int = 0
    next_proof: int = LATER

    def begin(self) -> bool:
        """Make the calls that belong to the start of a phase; whether what was noted holds in this phase."""
        for call in self.prologue:
            call()
        return all(look() == value for look, value in self.guards)

    def is_due(self, phase: int) -> bool:
        """Whether to compare it now: early in two phases, and now and then ever after."""
        return self.uses >= self.next_proof or (self.proofs < PROOFS and self.proved_in != phase)

    def passed(self, phase: int) -> None:
        """It was compared and is true."""
        self.proofs, self.proved_in = self.proofs + 1, phase
        if self.uses >= self.next_proof:
            self.next_proof *= 4

    def failed(self, what: object) -> None:
        """It was compared and is not true; where that comes late, what it gave since it last was is in doubt.

        Warns:
            RuntimeWarning: it comes late.
        """
        if self.uses >= self.next_proof:
            warnings.warn(
                f"{getattr(what, '__qualname__', what)} is not what it was {self.uses} iterations ago, and has been "
                "repeated as it was: what was settled is in doubt. It must not depend on anything that "
                "changes outside the view, such as a counter in Python",
                RuntimeWarning,
                stacklevel=2,
            )


@attrs.define(eq=False, kw_only=True)
class Noted(Repeatable):
    """An iteration that was noted, and how the view stands at its end.

    Attributes:
        at_rest: layers without a residual.
    """

    end: Key
    at_rest: frozenset[str]


@attrs.define(eq=False, kw_only=True)
class Look(Repeatable):
    """A function of the state that was noted, and where its result lies."""

    result: Tensor


def agree(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same but for rounding."""
    if not a.is_floating_point():
        return torch.equal(a, b)
    near = SAME * torch.finfo(a.dtype).eps
    return torch.allclose(a, b, rtol=near, atol=near, equal_nan=True)
