"""What is to work together, and what its parts say of that before work starts: reasons to refuse, and notices.

    def check(self, setup):
        if setup.energy is not None and setup.energy.channels > 1:
            yield refuse("it goes along a straight line between two states, and angles lie on a circle")

Every component has such a `check`. It is asked twice: before data is loaded, and once the network exists.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    import torch

    from eb_core.learning.backend import Backend
    from eb_core.learning.rule import Rule
    from eb_core.network.network import Model, Network
    from eb_core.physics.cost import Cost
    from eb_core.physics.energy import Energy
    from eb_core.settling.relaxer import Relaxer


@attrs.frozen
class Diagnostic:
    """What a component has to say of a setup: `refuse` stops it, `notice` is told to the user.

    Args:
        what: in one line, with what to do about it.
        of: the kinds of the parts that it is said of; none: those that such a component usually depends on.
    """

    severity: Literal["refuse", "notice"]
    what: str
    of: tuple[str, ...] = ()


def refuse(what: str, *of: str) -> Diagnostic:
    """Why this cannot work, in one line that also says what would; `of` are the kinds of the parts to blame."""
    return Diagnostic("refuse", what, of)


def notice(what: str) -> Diagnostic:
    """What to know before work starts, with its advice, though it is no reason to refuse."""
    return Diagnostic("notice", what)


@attrs.frozen(kw_only=True, eq=False)
class Setup:
    """Parts that are to work together; None for what takes no part, or is not known yet.

    Args:
        network: as built, with the weights that work begins with.
        device, dtype: of the network.
        with_notices: whether notices are wanted; a component may leave out what is costly to find out otherwise.
    """

    energy: "Energy | None" = None
    relaxer: "Relaxer | None" = None
    rule: "Rule | None" = None
    cost: "Cost | None" = None
    model: "Model | None" = None
    backend: "Backend | None" = None
    network: "Network | None" = None
    device: "torch.device | None" = None
    dtype: "torch.dtype | None" = None
    with_notices: bool = True

    def parts(self) -> "Iterator[tuple[str, Energy | Relaxer | Rule | Cost | Model | Backend]]":
        """The components that take part, by kind."""
        for kind in ("energy", "relaxer", "cost", "rule", "model", "backend"):
            part = getattr(self, kind)
            if part is not None:
                yield kind, part
