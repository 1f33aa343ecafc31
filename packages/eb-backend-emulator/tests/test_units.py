"""Read-out, frequencies, settling time and failing calls: each option does what it says, in the size that it says."""

import math

import numpy as np
import pytest
import torch
from emulated import chip_and_couplings, free_of, idle, make, nudged, open_, wide

from eb_backend_emulator.chip import EmulatedChip
from eb_backend_emulator.emulator import Emulator
from eb_core import Problem, Relaxation, RunError, State, UsageError
from eb_core.device.contract import Drive
from eb_core.testing import backend_suite, residual_by_definition


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_phases_are_read_on_even_levels_around_the_circle(bits: int) -> None:
    energy = make("energy", "oim")
    network = wide(energy)
    with open_(Emulator(readout_bits=bits), network, energy) as session:
        state = session.settle(free_of(energy, network, batch=64)).state
    levels = torch.cat([state["hidden1"], state["output"]], 1) / (2 * math.pi / 2**bits)
    assert (levels - levels.round()).abs().max() < 1e-9
    assert len(levels.round().unique()) <= 2**bits
    assert len(levels.round().unique()) > 2 ** (bits - 1) - 1


def test_a_chip_with_bits_gives_codes_and_one_without_gives_numbers() -> None:
    for bits, kind in ((4, "i"), (None, "f")):
        chip, couplings = chip_and_couplings("cim", readout_bits=bits)
        chip.program(couplings)
        values = chip.settle(idle(couplings), 1.0).values
        assert values.dtype.kind == kind
        assert bits is None or (values.min() >= 0 and 2 ** (bits - 1) <= values.max() < 2**bits)


def test_read_out_noise_is_that_of_one_read_in_widths_of_the_range(chip_of: object) -> None:
    chip, energy = chip_of("ideal", ranges={"output": [-2.0, 2.0]}), make("energy", "cim")
    network = wide(energy)
    problem = free_of(energy, network)
    with open_(Emulator(readout_noise=0.01, reads=200, chip=chip), network, energy) as session:
        relaxation = session.settle(problem)
    with open_(Emulator(chip=chip), network, energy) as session:
        exact = session.settle(problem).state
    for layer in ("hidden1", "output"):
        inside = (exact[layer] > 0.06) & (exact[layer] < 0.94)
        error = torch.stack([read[layer] - exact[layer] for read in relaxation.reads])[:, inside]
        assert error.std() == pytest.approx(0.01, rel=0.03), layer
        assert torch.equal(relaxation.state[layer], torch.stack([read[layer] for read in relaxation.reads]).mean(0))


def test_several_reads_settle_anew_where_the_dynamics_is_noisy() -> None:
    energy = make("energy", "oim")
    network = wide(energy)
    noisy = make("relaxer", "oim", noise=0.1, steps=50, tol=0.0)
    for relaxer, is_noisy in ((noisy, True), (make("relaxer", "oim", steps=50, tol=0.0), False)):
        with open_(Emulator(reads=3), network, energy, relaxer) as session:
            reads = session.settle(free_of(energy, network)).reads
        assert len(reads) == 3
        assert torch.equal(reads[0]["hidden1"], reads[1]["hidden1"]) is not is_noisy


@pytest.mark.parametrize("relaxer", ["oim", "oim-heavy-ball", "oim-block", "hopfield", "gradient-flow"])
def test_detuned_oscillators_settle_where_their_frequency_balances_the_force(relaxer: str) -> None:
    energy, spread = make("energy", "oim", sync=0.1), 0.02
    network = wide(energy, 20, 5)
    problem = nudged(free_of(energy, network), 0.2)
    dynamics = make("relaxer", relaxer, nudged_steps=20000, nudged_tol=1e-9)
    with open_(Emulator(detuning=spread, seed=1), network, energy, dynamics) as session:
        state = session.settle(problem).state
        tilts = session.line.host._device._energy.tilts
    units = {name: value.clone().requires_grad_() for name, value in state.units.items()}
    slopes = torch.autograd.grad(problem.objective(State(units)).sum(), list(units.values()))
    for name, slope in zip(units, slopes, strict=True):
        assert (slope - tilts[name]).abs().max() < 1e-7
    drawn = torch.cat(list(tilts.values()))
    assert drawn.std() == pytest.approx(spread, rel=0.4)


def test_frequencies_have_the_spread_that_is_asked_for() -> None:
    energy = make("energy", "oim")
    with open_(Emulator(detuning=0.01), wide(energy, 2000, 10), energy) as session:
        assert session.line.host._device._energy.tilts["hidden1"].std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("options", "energy", "relaxer", "reason"),
    [
        ({"detuning": 0.1}, "hopfield", "hopfield", "detuning is of phases"),
        ({"detuning": 0.1}, "oim", "oim-newton", "this Hessian is that of phases"),
        ({"asymmetry": 0.1}, "oim", "oim-newton", "its Hessian is written from dense edges"),
        ({"isolated": True}, "hopfield", "hopfield", "lives in the process of the run"),
        ({"chip": "oim-cmos"}, "hopfield", "hopfield", "those of the device are 'phase'"),
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, float], energy: str, relaxer: str, reason: str) -> None:
    physics = make("energy", energy)
    with pytest.raises(UsageError, match=reason):
        open_(Emulator(**options), wide(physics), physics, make("relaxer", relaxer))


def test_a_chip_that_nobody_knows_and_bits_without_a_range_are_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="oim-cmos"):
        Emulator(chip="oim-cmo").capabilities()
    with pytest.raises(UsageError, match="weight_range"):
        Emulator(weight_bits=4).capabilities()
    assert Emulator(chip="oim-cmos", weight_bits=4).capabilities().weight_bits == 4


def test_a_shorter_settling_leaves_a_larger_residual() -> None:
    energy, relaxer = make("energy", "hopfield"), make("relaxer", "gradient-flow", steps=40, dt=0.2)
    network = wide(energy, 10, 4)
    problem, left = free_of(energy, network), []
    for share in (0.05, 0.25, 1.0):
        with open_(Emulator(settling=share), network, energy, relaxer) as session:
            left.append(float(residual_by_definition(problem, session.settle(problem).state).max()))
    assert left[0] > 3 * left[1] > 9 * left[2]


def test_settling_is_a_share_of_the_iterations_and_asks_for_no_tolerance() -> None:
    energy, relaxer = make("energy", "hopfield"), make("relaxer", "gradient-flow", steps=40, tol=0.5, nudged_steps=20)
    network = wide(energy)
    free = free_of(energy, network)
    for problem, steps in ((free, 10), (nudged(free, 0.1), 5)):
        with open_(Emulator(settling=0.25), network, energy, relaxer) as session:
            state = session.settle(problem).state
        expected = relaxer.iterate(problem, problem.initial_state(), steps)
        assert (state["output"] - expected["output"]).abs().max() < 1e-12


def test_calls_that_fail_are_repeated_and_counted_and_leave_no_trace() -> None:
    energy = make("energy", "hopfield")
    network = wide(energy)

    def settled(share: float) -> tuple[list[Relaxation], float]:
        options = {"readout_noise": 0.01, "retries": 20}
        with open_(Emulator(transient_faults=share, **options), network, energy) as session:
            found = [session.settle(free_of(energy, network)) for _ in range(20)]
            return found, session.usage.get("retries", 0)

    clean, none = settled(0.0)
    faulty, retries = settled(0.5)
    assert none == 0
    assert 8 <= retries <= 45, "21 calls that are to succeed, half of all fail"
    assert all(torch.equal(a.state["output"], b.state["output"]) for a, b in zip(clean, faulty, strict=True))


def test_a_chip_that_fails_too_often_ends_the_run_with_its_reason() -> None:
    energy = make("energy", "hopfield")
    network = wide(energy)
    with (
        open_(Emulator(transient_faults=0.999999, retries=2), network, energy) as session,
        pytest.raises(RunError, match="a packet was lost"),
    ):
        session.settle(free_of(energy, network))


def test_noise_streams_and_couplers_go_on_from_what_a_checkpoint_keeps() -> None:
    options = {"readout_noise": 0.01, "parameter_noise": 0.01, "drift": 0.01, "mismatch": 0.1}
    chip, couplings = chip_and_couplings(**options)
    drive = idle(couplings)
    chip.program(couplings)
    chip.settle(drive, 1.0)
    kept = chip.state()
    expected = [chip.settle(drive, 1.0).values, chip.program(couplings).effective[0], chip.settle(drive, 1.0).values]
    other, _ = chip_and_couplings(**options)
    other.restore(kept)
    held = other.program(couplings).effective[0]
    found = [other.settle(drive, 1.0).values, other.program(couplings).effective[0], other.settle(drive, 1.0).values]
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not np.array_equal(held, found[1]), "programming draws anew"


@pytest.mark.parametrize("is_wrong", [False, True])
def test_a_chip_that_takes_start_states_in_another_unit_is_found_by_the_check_of_starts(
    is_wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(chip: EmulatedChip, problem: Problem, drive: Drive) -> State | None:
        state = own_start(chip, problem, drive)
        return state.map(lambda s: s / 40) if is_wrong and state is not None else state

    own_start = EmulatedChip._start
    monkeypatch.setattr(EmulatedChip, "_start", start)
    relaxer = make("relaxer", "oim-heavy-ball", steps=2000, nudged_steps=2000, tol=1e-6)
    suite = {str(check): check for check in backend_suite(Emulator(), make("energy", "oim"), relaxer=relaxer)}
    assert suite["write starts there"].run().verdict == ("failed" if is_wrong else "passed")
