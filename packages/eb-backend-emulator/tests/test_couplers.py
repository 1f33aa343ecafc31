"""Each fault of couplings does what its option says, in the size that it says."""

import numpy as np
import pytest
import torch
from emulated import chip_and_couplings, free_of, idle, make, open_, wide

from eb_backend_emulator.emulator import Emulator
from eb_core import UsageError


def effective(chip: object, couplings: object) -> np.ndarray:
    programmed = chip.program(couplings)
    assert programmed.effective is not None
    return programmed.effective[0]


def errors(**options: float) -> np.ndarray:
    chip, couplings = chip_and_couplings(**options)
    return effective(chip, couplings) - couplings.blocks[0].values


def test_without_faults_the_chip_holds_what_it_is_asked_for() -> None:
    assert np.all(errors() == 0)


def test_mismatch_is_a_share_of_each_coupling_and_frozen_for_a_seed() -> None:
    chip, couplings = chip_and_couplings(mismatch=0.05, seed=3)
    asked = couplings.blocks[0].values
    share = effective(chip, couplings) / asked - 1
    assert share.std() == pytest.approx(0.05, rel=0.05)
    assert abs(share.mean()) < 0.005
    assert np.array_equal(effective(chip, couplings) / asked - 1, share)
    again, _ = chip_and_couplings(mismatch=0.05, seed=3)
    assert np.array_equal(effective(again, couplings) / asked - 1, share)
    other, _ = chip_and_couplings(mismatch=0.05, seed=4)
    assert abs(np.corrcoef((effective(other, couplings) / asked - 1).ravel(), share.ravel())[0, 1]) < 0.1


def test_parameter_noise_is_fresh_at_every_programming() -> None:
    chip, couplings = chip_and_couplings(parameter_noise=0.02)
    asked = couplings.blocks[0].values
    first, second = effective(chip, couplings) - asked, effective(chip, couplings) - asked
    assert first.std() == pytest.approx(0.02, rel=0.05)
    assert second.std() == pytest.approx(0.02, rel=0.05)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1


def test_drift_grows_with_the_root_of_the_settles_and_programming_does_not_undo_it() -> None:
    chip, couplings = chip_and_couplings(drift=0.001)
    asked, drive = couplings.blocks[0].values, idle(couplings)
    spread = {0: (effective(chip, couplings) / asked - 1).std()}
    for count in range(1, 65):
        chip.settle(drive, 1.0)
        if count in (16, 64):
            spread[count] = (effective(chip, couplings) / asked - 1).std()
    assert spread[0] == 0
    assert spread[16] == pytest.approx(0.004, rel=0.06)
    assert spread[64] == pytest.approx(0.008, rel=0.06)


def test_drift_moves_the_states_between_two_settles_of_one_programming() -> None:
    chip, couplings = chip_and_couplings(drift=0.05)
    chip.program(couplings)
    drive = idle(couplings)
    assert np.abs(chip.settle(drive, 1.0).values - chip.settle(drive, 1.0).values).max() > 1e-4


def test_asymmetric_couplings_differ_back_from_forth_and_the_mean_of_both_is_reported() -> None:
    chip, couplings = chip_and_couplings(asymmetry=0.1)
    said = effective(chip, couplings)
    forth, back = chip._couplers.acting()[0]
    assert np.array_equal(forth, couplings.blocks[0].values)
    assert (back / forth - 1).std() == pytest.approx(0.1, rel=0.05)
    assert np.array_equal(said, (forth + back) / 2)


def test_asymmetric_couplings_act_back_on_hidden_units_as_they_are() -> None:
    energy, relaxer = make("energy", "hopfield"), make("relaxer", "gradient-flow", steps=400, tol=0.0)
    network = wide(energy)
    problem = free_of(energy, network)
    with open_(Emulator(asymmetry=0.3), network, energy, relaxer) as session:
        state = session.settle(problem).state
        forth, back = (torch.from_numpy(one) for one in session.line.host._device._couplers.acting()[0])
    hidden, output = state["hidden1"], state["output"]
    for couplings, is_right in ((back, True), (forth, False)):
        wanted = (problem.constant_field(network.layers["hidden1"]) + output @ couplings).clamp(0, 1)
        assert bool((wanted - hidden).abs().max() < 1e-6) is is_right
    own = problem.constant_field(network.layers["output"]) + hidden @ forth.t()
    assert (own - output).abs().max() < 1e-6


def test_a_chip_that_reports_nothing_is_taken_to_hold_what_it_was_asked_for() -> None:
    energy = make("energy", "hopfield")
    network = wide(energy)
    asked = network.edges["hidden1-output"].weight.detach().clone()
    for reports in (True, False):
        with open_(Emulator(mismatch=0.1, reports=reports), network, energy) as session:
            session.settle(free_of(energy, network))
            assert torch.equal(session.programmed.edges["hidden1-output"].weight, asked) is not reports


def changed(shadow: bool, chip: str) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Weights on the chip and in the network after five updates of 0.3 levels each; the length of a level."""
    energy = make("energy", "hopfield")
    network = wide(energy)
    edge = network.edges["hidden1-output"]
    with open_(Emulator(chip=chip, update_bits=6, shadow=shadow), network, energy) as session:
        first, level = edge.weight.detach().clone(), 2.0 / 2**6
        for _ in range(6):
            session.settle(free_of(energy, network))
            held = session.programmed.edges["hidden1-output"].weight.detach() - first
            moved = edge.weight.detach() - first
            with torch.no_grad():
                edge.weight.add_(0.3 * level)
    return held / level, moved / level, level


def test_an_update_is_rounded_and_shadow_weights_make_up_for_it(chip_of: object) -> None:
    chip = chip_of("ideal", weight_range=[-1.0, 1.0])
    held, moved, _ = changed(shadow=True, chip=chip)
    assert torch.allclose(moved, torch.full_like(moved, 1.5))
    assert set(held.round(decimals=9).unique().tolist()) == {1.0}, "1.2 levels were asked for, and then 1.5"
    held, moved, _ = changed(shadow=False, chip=chip)
    assert held.abs().max() < 1e-12, "0.3 levels are none, each time"
    assert moved.abs().max() < 1e-12


def test_update_bits_need_a_range() -> None:
    energy = make("energy", "hopfield")
    with pytest.raises(UsageError, match="update_bits divide the range of couplings"):
        open_(Emulator(update_bits=6), wide(energy), energy)


def test_without_shadow_weights_the_network_stands_on_the_levels_of_the_chip(chip_of: object) -> None:
    energy, chip = make("energy", "hopfield"), chip_of("ideal", weight_range=[-0.5, 0.5], weight_bits=5)
    network = wide(energy)
    with open_(Emulator(chip=chip, mismatch=0.1, shadow=False), network, energy) as session:
        session.settle(free_of(energy, network))
    levels = (network.edges["hidden1-output"].weight.detach() + 0.5) / (1 / 2**5)
    assert torch.equal(levels, levels.round())
    assert 3 < len(levels.unique()) <= 2**5
    network = wide(energy)
    with open_(Emulator(chip=chip, mismatch=0.1), network, energy) as session:
        session.settle(free_of(energy, network))
    assert len(network.edges["hidden1-output"].weight.unique()) == 60 * 40
