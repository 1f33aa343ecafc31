"""The contract of devices: capabilities are data, placement is pure, and a session does what no author should."""

import math
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from boards import Board, Sound
from cells import Cells
from foreign_physics import Centred, Phases

from eb_core import (
    CrossEntropy,
    Dense,
    Diagnostic,
    Lateral,
    Network,
    Problem,
    Relaxation,
    RunError,
    Setup,
    SquaredError,
    UsageError,
    configurable,
    contrast,
    option,
    refuse,
)
from eb_core.device import (
    Capabilities,
    Couplings,
    Device,
    Drive,
    Programmed,
    Readout,
    parse_capabilities,
    read_capabilities,
)
from eb_core.device.dynamics import OnDevice
from eb_core.device.levels import decoded, encoded, fitted
from eb_core.device.placement import place
from eb_core.device.session import DeviceSession
from eb_core.diagnostics.resistive import Resistive
from eb_core.learning.fit import misfit, refusals
from eb_core.learning.learner import Learner
from eb_core.registry import fields

SAID = {"schema": 1, "unit": "cell", "units": {"A": 5, "B": 5}, "weight_range": [-1, 1], "weight_bits": 8}


def net(*widths: int, lateral: bool = False, scale: float = 0.5) -> Network:
    """A chain of dense layers in float64 with random weights and biases."""
    names = ["input", *(f"hidden{k}" for k in range(1, len(widths) - 1)), "output"]
    edges: list[Any] = [Dense(names[k], names[k + 1], (widths[k],), (widths[k + 1],)) for k in range(len(widths) - 1)]
    edges += [Lateral("hidden1", (widths[1],))] if lateral else []
    network = Network([(name, (width,)) for name, width in zip(names, widths, strict=True)], edges).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-scale, scale, generator=generator)
    return network


def inputs(samples: int, size: int = 3) -> torch.Tensor:
    return torch.rand(samples, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@configurable
class Bench(Sound):
    """A sound board whose capabilities a test says, and which notes what it is told."""

    said: Mapping[str, str] = option(default={}, help="nothing")
    log: "tuple[str, ...]" = option(default=(), help="nothing")

    def capabilities(self) -> Capabilities:
        return CAPABILITIES[-1]

    def connect(self) -> Device:
        return NOTED[-1]


class Nudging(Centred):
    phases = ("free", "nudged")


class Clamping(Centred):
    phases = ("free", "clamped")


class Differentiating(Centred):
    differentiates = True


CAPABILITIES: list[Capabilities] = []
NOTED: list["Noting"] = []


class Noting(Board):
    """A board that keeps what it was handed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.drives: list[Drive] = []
        self.programs: list[Couplings] = []
        self.effective: float | None = None
        self.held: float | None = None

    def program(self, couplings: Couplings) -> Programmed | None:
        self.programs.append(couplings)
        super().program(couplings)
        if self.effective is None:
            return None
        blocks = tuple(attrs.evolve(block, values=self.effective * block.values) for block in couplings.blocks)
        self.couplings = attrs.evolve(couplings, blocks=blocks)
        held = None if self.held is None else tuple(self.held * block.values for block in couplings.blocks)
        return Programmed(tuple(block.values for block in blocks), clipped=3, held=held)

    def settle(self, drive: Drive, deadline: float) -> Readout:
        self.drives.append(drive)
        return super().settle(drive, deadline)


def opened(network: Network, **said: Any) -> tuple[DeviceSession, Noting]:
    CAPABILITIES.append(Capabilities(**({"unit": "cell"} | said)))
    NOTED.append(Noting())
    session = Bench().open(network, Cells(), OnDevice(), device=torch.device("cpu"), dtype=torch.float64)
    assert isinstance(session, DeviceSession)
    return session, NOTED[-1]


def simulated(problem: Problem) -> dict[str, torch.Tensor]:
    """The minimum, by block updates on this computer."""
    from foreign_physics import Descent

    return dict(Descent(steps=3000, nudged_steps=3000, tol=1e-12).relax(problem).state.units)


def test_a_module_of_an_author_imports_no_torch() -> None:
    command = "import eb_core.device, eb_core.device.host, boards, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", command], check=True, cwd=Path(__file__).parent)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"weight_bit": 8}, "no option 'weight_bit'"),
        ({"schema": 2}, "of schema 2, and this version reads 1"),
        ({"weight_bits": 8.5}, "a whole number"),
        ({"weight_range": [1, -1]}, "must be \\[lowest, highest\\]"),
        ({"field_bits": 6}, "needs field_range"),
        ({"ranges": {"input": [0, 1]}}, "hidden and output units"),
        ({"nudge": "strong"}, "one of none"),
        ({"starts": []}, "at least one of reset"),
        ({"topology": "bipartite", "units": {"A": 3}}, "needs two columns"),
        ({"watts": float("inf")}, "finite"),
        ({"units": {}}, "at least one column"),
    ],
)
def test_capabilities_that_make_no_sense_are_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_capabilities(SAID | said, "chip.toml")
    assert "from: chip.toml" in str(caught.value)


def test_capabilities_are_read_from_a_file_that_says_its_schema(tmp_path: Path) -> None:
    file = tmp_path / "chip.toml"
    file.write_text('schema = 1\nunit = "phase"\nunits = {A = 3}\n')
    assert read_capabilities(file) == Capabilities(unit="phase", units={"A": 3})
    for text, message in (('unit = "phase"', "say no schema"), ("unit = ", "no TOML")):
        file.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_capabilities(file)
    with pytest.raises(UsageError, match="No such file"):
        read_capabilities(tmp_path / "none.toml")


def test_levels_are_as_many_as_the_bits_say_and_the_nearest_is_taken() -> None:
    values = np.linspace(-1.2, 1.2, 100_001)
    held, outside = fitted(values, (-1.0, 1.0), 3)
    assert len(np.unique(held)) == 8
    assert 0.0 in held
    assert outside == np.count_nonzero(np.abs(values) > 1)
    inside = np.abs(values) < 0.85
    assert np.abs(held - values)[inside].max() <= 0.125 + 1e-9
    assert fitted(values, None, None) == (pytest.approx(values), 0)


@pytest.mark.parametrize("is_circle", [False, True])
def test_codes_stand_for_states(is_circle: bool) -> None:
    codes = np.arange(16)
    states = decoded(codes, (0.0, 2.0), 4, is_circle)
    assert np.array_equal(encoded(states, (0.0, 2.0), 4, is_circle), codes)
    assert states[0] == 0
    assert states[-1] == pytest.approx(2 * np.pi * 15 / 16 if is_circle else 2.0)


MISFITS = [
    ({"units": {"A": 6}}, "7 units that settle, and the device has 6"),
    ({"units": {"A": 9, "B": 1}, "topology": "bipartite"}, "column B needs 2 units and has 1"),
    ({"units": {"A": 9}, "topology": "chain"}, "2 layers that settle, and the device has 1 columns"),
    ({"inputs": "units", "input_lines": 2}, "the input has 3 values, and the device has 2 lines"),
    ({"unit": "phase"}, "units are 'cell', and those of the device are 'phase'"),
    ({"readout_bits": 4}, "codes of output units need a range"),
    ({"weight_range": (-0.1, 0.1)}, r"of 10 couplings clipped at 0.1.*--allow-lossy"),
]


@pytest.mark.parametrize(("said", "message"), MISFITS)
def test_what_cannot_be_placed_is_refused_with_what_is_needed_and_what_there_is(
    said: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        opened(net(3, 5, 2), **said)


@pytest.mark.parametrize(("topology", "fits"), [("any", True), ("bipartite", False), ("chain", False)])
def test_a_lateral_edge_needs_couplings_within_a_column(topology: str, fits: bool) -> None:
    capabilities = Capabilities(unit="cell", topology=topology, units={"A": 9, "B": 9})
    faults = place(net(3, 5, 2, lateral=True), Cells(), capabilities).faults
    assert not faults if fits else "edge hidden1-hidden1 joins units of one column" in faults


def test_layers_that_are_coupled_stand_in_different_columns() -> None:
    capabilities = Capabilities(unit="cell", topology="bipartite", units={"A": 10, "B": 8})
    placement = place(net(3, 5, 4, 2), Cells(), capabilities)
    assert placement.faults == ()
    assert {name: units.tolist() for name, units in placement.units.items()} == {
        "hidden1": [0, 1, 2, 3, 4],
        "hidden2": [10, 11, 12, 13],
        "output": [5, 6],
    }
    assert placement.size == 18


def test_self_terms_are_placed_where_the_device_has_them() -> None:
    network = Network(
        [("input", (3,)), ("hidden", (4,)), ("output", (2,))],
        [Resistive("input", "hidden", (3,), (4,)), Resistive("hidden", "output", (4,), (2,))],
    )
    faults = place(network, Cells(), Capabilities(unit="cell")).faults
    assert any("self-term" in fault or "no matrix" in fault for fault in faults)


@pytest.mark.parametrize(
    ("rule", "said", "cost", "message"),
    [
        (Nudging(), {"nudge": "none"}, SquaredError(), "the device has no nudge"),
        (Nudging(), {}, CrossEntropy(), "the cost is not quadratic"),
        (Centred(), {"nudge": "current"}, CrossEntropy(), None),
        (Centred(), {}, SquaredError(), None),
        (Clamping(), {}, SquaredError(), "the device clamps nothing"),
        (Clamping(), {"clamp": "layers", "nudge": "none"}, SquaredError(), None),
        (Differentiating(), {}, SquaredError(), "differentiates through a simulation"),
    ],
)
def test_a_rule_is_held_against_what_the_device_offers(
    rule: Any, said: dict[str, Any], cost: Any, message: str | None
) -> None:
    CAPABILITIES.append(Capabilities(unit="cell", **said))
    reason = misfit(Setup(rule=rule, cost=cost, backend=Bench(), energy=Cells()))
    assert reason is None if message is None else message in str(reason)


@pytest.mark.parametrize("lateral", [False, True])
@pytest.mark.parametrize("said", [{}, {"topology": "any", "units": {"A": 40}}, {"inputs": "units"}])
def test_a_perfect_board_settles_where_a_simulation_settles(said: dict[str, Any], lateral: bool) -> None:
    network = net(3, 5, 4, 2, lateral=lateral, scale=0.3)
    session, board = opened(network, clamp="units", **said)
    board.sweeps = 400
    if said.get("inputs") == "units":
        board.settle = _multiplying(board)  # type: ignore[method-assign]
    free = Problem.free(network, Cells(), inputs(4))
    target = torch.eye(2, dtype=torch.float64)[[0, 1, 1, 0]]
    mask = torch.tensor([True, False, True, False, False]).expand(4, 5)
    phases = [
        free,
        free.nudged(SquaredError(), target, 0.4),
        free.nudged(SquaredError(), target, torch.tensor([0.1, -0.2, 0.3, -0.4], dtype=torch.float64)),
        free.clamped({"output": target}),
        free.clamped({"hidden1": torch.full((4, 5), 0.7, dtype=torch.float64)}, {"hidden1": mask}),
    ]
    for problem in phases:
        settled = session.settle(problem)
        for name, value in simulated(problem).items():
            torch.testing.assert_close(settled.state[name], value, rtol=0, atol=1e-8)
        assert float(settled.residual.max()) < 1e-8
        torch.testing.assert_close(settled.energy, problem.total_energy(settled.state))


def _multiplying(board: Noting) -> Any:
    """`settle` of a board that multiplies the input itself."""
    plain = Board.settle

    def settle(drive: Drive, deadline: float) -> Readout:
        field = drive.field.copy()
        for block in board.programs[-1].inputs:
            assert drive.inputs is not None
            field[:, block.rows] += drive.inputs[:, block.columns] @ block.values.T
        return plain(board, attrs.evolve(drive, field=field), deadline)

    return settle


def test_a_batch_is_cut_and_comes_back_in_order() -> None:
    network = net(3, 5, 2)
    session, board = opened(network, max_batch=3)
    whole = Problem.free(network, Cells(), inputs(8))
    settled = session.settle(whole)
    assert [drive.batch for drive in board.drives] == [3, 3, 2]
    for row in range(8):
        alone = session.settle(whole.select(torch.tensor([row])))
        torch.testing.assert_close(settled.state["output"][row], alone.state["output"][0])


def test_all_phases_of_one_part_of_a_batch_come_before_the_next_part() -> None:
    network = net(3, 5, 2)
    session, board = opened(network, max_batch=3, starts=("reset", "last"))
    learner = Learner(network, Cells(), OnDevice(), Bench(), Centred(), SquaredError(), 2)
    learner._sessions.append(session)
    estimate = learner.estimate(inputs(8), torch.arange(8) % 2)
    phases = [(drive.phase, drive.batch) for drive in board.drives]
    assert phases == [(phase, batch) for batch in (3, 3, 2) for phase in ("free", "nudged", "free", "nudged")]
    whole, _ = opened(network)
    learner._sessions[:] = [whole]
    for name, gradient in learner.estimate(inputs(8), torch.arange(8) % 2).gradients.items():
        torch.testing.assert_close(estimate.gradients[name], gradient, rtol=1e-6, atol=1e-9)
    assert len(estimate.loss) == 8
    assert estimate.phases["free"].problem.batch == 8


@pytest.mark.parametrize(
    ("starts", "seen"),
    [
        (("reset",), ["reset", "reset", "reset"]),
        (("reset", "last"), ["reset", "last", "reset", "last"]),
        (("reset", "write"), ["reset", "write", "write"]),
        (("last", "write"), ["write", "last", "write"]),
    ],
)
def test_a_phase_starts_where_the_device_can(starts: Any, seen: list[str]) -> None:
    network = net(3, 5, 2)
    session, board = opened(network, starts=starts)
    free = Problem.free(network, Cells(), inputs(2))
    settled = session.settle(free)
    kept = settled.state.map(torch.clone)
    for beta in (-0.1, 0.1):
        session.settle(free.nudged(SquaredError(), torch.zeros(2, 2, dtype=torch.float64), beta), settled.state)
    found = [drive.start if isinstance(drive.start, str) else "write" for drive in board.drives]
    assert found == seen
    for name, value in kept.units.items():
        assert torch.equal(settled.state[name], value)


def test_weights_are_programmed_when_they_have_changed_and_only_then() -> None:
    network = net(3, 5, 2)
    session, board = opened(network)
    problem = Problem.free(network, Cells(), inputs(2))
    for _ in range(3):
        session.upload_parameters()
        session.settle(problem)
    assert len(board.programs) == 1
    with torch.no_grad():
        network.edges["hidden1-output"].weight.mul_(0.5)
    session.settle(problem)
    assert len(board.programs) == 2
    assert session.usage["programs"] == 2


@pytest.mark.parametrize(("shadow", "held", "taken"), [(True, 0.75, 1), (False, 0.75, 0.75), (False, None, 1)])
def test_energies_are_measured_with_what_acts_and_training_without_shadow_goes_on_from_what_is_held(
    shadow: bool, held: float | None, taken: float
) -> None:
    network = net(3, 5, 2)
    session, board = opened(network)
    object.__setattr__(session.backend, "shadow", shadow)
    board.effective, board.held = 0.5, held
    before = network.edges["hidden1-output"].weight.detach().clone()
    settled = session.settle(Problem.free(network, Cells(), inputs(2)))
    assert float(settled.residual.max()) < 1e-8
    assert torch.equal(session.programmed.edges["hidden1-output"].weight.detach(), 0.5 * before)
    assert torch.equal(network.edges["hidden1-output"].weight.detach(), taken * before)
    assert session.usage["clipped"] == 3


def test_a_constant_current_is_the_slope_at_the_free_state() -> None:
    network = net(3, 5, 2)
    session, board = opened(network, nudge="current")
    free = Problem.free(network, Cells(), inputs(2))
    target = torch.zeros(2, 2, dtype=torch.float64)
    settled = session.settle(free)
    session.settle(free.nudged(SquaredError(), target, 0.3), settled.state)
    drive = board.drives[-1]
    assert drive.curvature is None
    assert drive.nudge is not None
    pull = drive.nudge[:, session.placement.units["output"]]
    assert pull == pytest.approx((-0.3 * settled.state["output"]).numpy())
    with pytest.raises(Exception, match="does not start from a free state"):
        session.settle(free.nudged(SquaredError(), target, 0.3))


def test_several_reads_average_products_and_not_states() -> None:
    network = net(3, 5, 2)
    session, board = opened(network, stochastic=True)
    object.__setattr__(session.backend, "reads", 3)
    generator = np.random.default_rng(0)
    plain = Board.settle

    def noisy(drive: Drive, deadline: float) -> Readout:
        values = plain(board, drive, deadline).values
        return Readout(np.clip(values + generator.normal(0, 0.05, values.shape), 0, 1))

    board.settle = noisy  # type: ignore[method-assign]
    problem = Problem.free(network, Cells(), inputs(2))
    settled = session.settle(problem)
    assert len(settled.states) == 3
    mean = torch.stack([state["hidden1"] for state in settled.states]).mean(0)
    torch.testing.assert_close(settled.state["hidden1"], mean)
    averaged = contrast(problem, [(1 / 3, state) for state in settled.states])
    name = "edges.hidden1-output.weight"
    assert not torch.allclose(averaged[name], contrast(problem, [(1.0, settled.state)])[name])
    assert session.usage["samples"] == 6


def test_a_relaxation_of_a_device_counts_no_iterations() -> None:
    network = net(3, 5, 2)
    session, _ = opened(network)
    settled = session.settle(Problem.free(network, Cells(), inputs(2)))
    assert isinstance(settled, Relaxation)
    assert settled.steps is None
    assert settled.converged is None


def test_time_and_energy_are_what_the_device_reports_or_else_declares() -> None:
    network = net(3, 5, 2)
    session, _ = opened(network, settle_seconds=0.25, at_once=2, program_seconds=1.5, watts=2.0)
    session.settle(Problem.free(network, Cells(), inputs(5)))
    assert session.usage["seconds"] == pytest.approx(1.5 + 3 * 0.25)
    assert session.usage["joules"] == pytest.approx(2 * session.usage["seconds"])


class Turning(Board):
    """A board of phases that hands out whatever a test says."""

    values: Any = None

    def settle(self, drive: Drive, deadline: float) -> Readout:
        return Readout(np.broadcast_to(self.values, drive.field.shape).copy())


def test_phases_beyond_one_turn_are_refused_as_codes_that_are_no_integers() -> None:
    energy, network, board = Phases(), net(3, 5, 2), Turning()
    CAPABILITIES.append(Capabilities(unit="phase", readout_bits=8))
    session = DeviceSession(network, energy, OnDevice(), Bench(), connect=lambda: board)
    free = Problem.free(network, energy, inputs(2))
    board.values = np.array([0, 40, 128, 200, 255, 3, 4], dtype=np.int64)
    angles = session.settle(free).state["hidden1"]
    assert torch.allclose(angles, torch.from_numpy(board.values[:5] * (2 * math.pi / 256)).expand(2, 5))
    board.values = board.values.astype(np.float64)
    with pytest.raises(
        RunError, match=r"unit 1 came back as 40, expected are angles of one turn in radians; codes are"
    ):
        session.settle(free)


def test_ranges_of_phases_are_refused_as_they_mean_nothing() -> None:
    capabilities = Capabilities(unit="phase", ranges={"output": (0.0, 1.0)})
    (fault,) = place(net(3, 5, 2), Phases(), capabilities).faults
    assert fault == "ranges.output means nothing for phases, which are reported in radians from 0 to 2 pi"


@pytest.mark.parametrize(
    ("device", "message"), [(None, "connect gave a NoneType, expected is a Device"), (3, "connect gave a int")]
)
def test_what_connects_must_be_a_device(device: Any, message: str) -> None:
    CAPABILITIES.append(Capabilities(unit="cell"))
    with pytest.raises(RunError, match=message):
        DeviceSession(net(3, 5, 2), Cells(), OnDevice(), Bench(), connect=lambda: device)


def test_a_state_that_is_no_bytes_is_named() -> None:
    network = net(3, 5, 2)
    session, board = opened(network)
    board.state = lambda: {"noise": 1}  # type: ignore[assignment,return-value]
    with pytest.raises(RunError, match="Bench: state gave a dict, expected are bytes or None"):
        session.state()


def test_what_a_device_refuses_names_no_relaxer() -> None:
    class Particular(Bench):
        def check(self, setup: Setup) -> Iterable[Diagnostic]:
            yield refuse("it has no synchronisation signal")

    CAPABILITIES.append(Capabilities(unit="cell"))
    setup = Setup(energy=Cells(), relaxer=OnDevice(), backend=Particular())
    (fault,) = refusals(setup, {"backend": "lumen", "relaxer": "lumen", "energy": "cells"})
    assert fault.what == "backend 'lumen' does not fit energy 'cells': it has no synchronisation signal"
    assert fault.origin == "--backend, --energy"


def test_the_page_of_devices_lists_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs/devices.md").read_text()
    keys = page[page.index("| key |") : page.index("What users meet of it")]
    assert [field.name for field, _ in fields(Capabilities) if f"`{field.name}`" not in keys] == []
