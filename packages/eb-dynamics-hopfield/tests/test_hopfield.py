"""This package alone: its energy and relaxers keep the promises of their contracts."""

import pytest
import torch

from eb_core import Layer, Registry, Relaxer, Workspace
from eb_core.testing import check_energy, check_relaxer, check_settles, random_state
from eb_core.testing.problems import all_phases
from eb_dynamics_hopfield.block import Hopfield
from eb_dynamics_hopfield.energy import HopfieldEnergy
from eb_dynamics_hopfield.flow import GradientFlow
from eb_dynamics_hopfield.fused import FusedSweep
from eb_dynamics_hopfield.synchronous import HopfieldSync

RELAXERS = [Hopfield(), Hopfield(order="forward", nudge="iterated"), HopfieldSync(nudge="iterated"), GradientFlow()]
OUTPUT = Layer("output", (1,), "output")


@pytest.mark.parametrize("output", ["linear", "boxed"])
def test_the_energy_keeps_its_promises_with_a_linear_and_a_boxed_output(output: str) -> None:
    assert check_energy(HopfieldEnergy(output=output)) == 72  # type: ignore[arg-type]


@pytest.mark.parametrize("relaxer", RELAXERS, ids=repr)
def test_relaxers_keep_their_promises_on_a_boxed_output_too(relaxer: Relaxer) -> None:
    assert check_relaxer(relaxer, HopfieldEnergy(output="boxed")) == 72


def test_the_relaxers_agree_on_the_minimum_of_a_boxed_net() -> None:
    budget = {"steps": 600, "nudged_steps": 600, "tol": 1e-8, "nudged_tol": 1e-8, "check_every": 10}
    relaxers = [Hopfield(**budget), HopfieldSync(**budget), GradientFlow(**budget)]  # type: ignore[arg-type]
    assert check_settles(relaxers, HopfieldEnergy(output="boxed")) == 63


def test_the_closed_form_of_the_nudged_output_is_the_minimum_by_brute_force() -> None:
    field, beta, target = 0.7, 0.5, 1.0
    states = torch.linspace(-3, 3, 600001, dtype=torch.float64)
    values = 0.5 * states**2 - field * states + 0.5 * beta * (states - target) ** 2
    energy = HopfieldEnergy()
    found = energy.minimize_unit(
        OUTPUT, torch.full((1, 1, 1), field + beta * target), torch.zeros(1, 1), torch.full((1, 1, 1), beta)
    )
    assert float(found) == pytest.approx(float(states[values.argmin()]), abs=1e-5)


@pytest.mark.parametrize("order", ["colour", "forward"])
@pytest.mark.parametrize("output", ["linear", "boxed"])
def test_fused_sweeps_and_their_residual_are_those_of_the_plain_ones(output: str, order: str) -> None:
    energy = HopfieldEnergy(output=output)  # type: ignore[arg-type]
    looked = 0
    for nudge in ("closed", "iterated"):
        relaxer = Hopfield(order=order, nudge=nudge)  # type: ignore[arg-type]
        for where, problem in all_phases(energy):
            start = random_state(problem)
            work, plain = Workspace(problem, start), Workspace(problem, start)
            with torch.no_grad():
                relaxer.sweeps(work, 2)
                relaxer.sweep(plain)
                relaxer.sweep(plain)
                for name in work.units:
                    torch.testing.assert_close(work.units[name], plain.units[name], rtol=0, atol=1e-14, msg=where)
                if isinstance(work.plan, FusedSweep):
                    looked += work.plan.residual() is not None
                    torch.testing.assert_close(
                        relaxer.unrest(work), plain.residual(), rtol=0, atol=1e-14, msg=f"{nudge}, {where}"
                    )
    assert looked >= 9, "the cheap residual was never tried"


def test_every_component_of_this_package_loads() -> None:
    registry = Registry.installed()
    records = {
        kind: [offer for offer in registry.offers(kind) if offer.plugin.distribution == "eb-dynamics-hopfield"]
        for kind in ("energy", "relaxer")
    }
    assert [len(found) for found in records.values()] == [2, 3]
    for kind, found in records.items():
        for offer in found:
            registry.load(kind, offer.component)()
