"""Both relaxers keep the promises of their contract, and settle where block updates settle."""

import pytest
from eb_dynamics_example.inertial import Inertial
from eb_dynamics_example.over_relaxed import OverRelaxed

from eb_core import Setup
from eb_core.testing import check_relaxer, check_settles, misfit
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy
from eb_dynamics_oim.energy import OscillatorEnergy

AMPLE = {"steps": 2000, "nudged_steps": 2000, "tol": 1e-9}


@pytest.mark.parametrize("relaxer", [OverRelaxed(omega=0.7), OverRelaxed(), Inertial()], ids=repr)
def test_it_keeps_the_promises_of_a_relaxer(relaxer):
    assert check_relaxer(relaxer, HopfieldEnergy()) > 0


def test_they_settle_where_block_updates_settle():
    relaxers = [Hopfield(**AMPLE), OverRelaxed(omega=0.7, **AMPLE), OverRelaxed(omega=1.5, **AMPLE), Inertial(**AMPLE)]
    assert check_settles(relaxers, HopfieldEnergy()) > 0


def test_an_omega_of_two_is_refused():
    with pytest.raises(ValueError, match="omega"):
        OverRelaxed(omega=2.0)


def test_angles_are_refused():
    assert "circle" in misfit(Setup(relaxer=OverRelaxed(), energy=OscillatorEnergy()))
