"""An energy and a relaxer that have something to say before work starts."""

from collections.abc import Iterable

from eb_core import Diagnostic, Setup, configurable, notice
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy


@configurable
class Talkative(HopfieldEnergy):
    """The Hopfield energy with a remark."""

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if setup.network is not None:
            yield notice(f"{len(setup.network.edges)} edges [sic]: use one")


@configurable
class Chatty(Hopfield):
    """Block updates with two remarks, one of them the energy's."""

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        if setup.energy is not None:
            yield from setup.energy.check(setup)
        yield notice("it is late")
