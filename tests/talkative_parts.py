"""An energy and a relaxer that have something to say before work starts."""

from collections.abc import Sequence

from eb_core import Energy, Network, configurable
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy


@configurable
class Talkative(HopfieldEnergy):
    """The Hopfield energy with a remark."""

    def notices(self, network: Network) -> Sequence[str]:
        return (f"{len(network.wires)} edges [sic]: use one",)


@configurable
class Chatty(Hopfield):
    """Block updates with two remarks, one of them the energy's."""

    def notices(self, network: Network, energy: Energy) -> Sequence[str]:
        return (*energy.notices(network), "it is late")
