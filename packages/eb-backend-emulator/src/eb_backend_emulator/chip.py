"""An emulated chip: it is programmed and driven as a real one, and a relaxer on this computer settles its units."""

import io
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch
from torch import Tensor

from eb_backend_emulator.couplers import Couplers
from eb_backend_emulator.fit import cut_short, tilted
from eb_backend_emulator.streams import Streams, normal
from eb_backend_emulator.units import Units
from eb_backend_emulator.wiring import load, wired
from eb_core import Energy, IterativeRelaxer, Network, Problem, Relaxation, Relaxer, SquaredError, State
from eb_core.device.contract import Array, Couplings, Device, DeviceError, Drive, Programmed, Readout, TransientError
from eb_core.device.placement import Placement
from eb_core.settling.buffers import Buffers

if TYPE_CHECKING:
    from eb_backend_emulator.emulator import Emulator

PULL = SquaredError()
"""The cost whose nudge a chip has: beta (y - r)."""


class EmulatedChip(Device):
    """A chip in this process.

    Args:
        emulator: options of the chip.
        placement: which of its units are which of the network.
        network: its layers say what states look like; weights come with `program` alone.
        energy: physics of its units.
        relaxer: its dynamics.
    """

    def __init__(
        self, emulator: "Emulator", placement: Placement, network: Network, energy: Energy, relaxer: Relaxer
    ) -> None:
        self._emulator, self._placement, self._network = emulator, placement, network
        self._like = next(network.parameters())
        self._capabilities = placement.capabilities
        self._streams = Streams(emulator.seed, self._like.device)
        ends = self._capabilities.weight_range
        self._couplers = Couplers(emulator, self._streams, None if ends is None else ends[1] - ends[0])
        self._units = Units(placement, network, energy)
        self._energy, self._relaxer = tilted(emulator, energy, network), cut_short(emulator, relaxer)
        self._buffers = Buffers()
        self._chip: Network | None = None
        self._couplings: Couplings | None = None
        self._input: list[Array] = []
        self._stands_at: State | None = None

    def program(self, couplings: Couplings) -> Programmed:
        self._fail_at_times()
        self._couplings = couplings
        self._couplers.program((*couplings.blocks, *couplings.inputs))
        if self._chip is None:
            has_anchors, has_feedback = couplings.curvature is not None, bool(self._emulator.asymmetry)
            names = [block.name for block in couplings.blocks]
            self._chip = wired(self._network, names, has_anchors, has_feedback, self._like)
        acting = self._load()
        effective = tuple((forth + back) / 2 for forth, back in acting) if self._emulator.reports else None
        return Programmed(effective, held=self._couplers.held)

    def _load(self) -> list[tuple[Array, Array]]:
        """Put what acts now into the network that settles."""
        couplings, chip = self._couplings, self._chip
        if couplings is None or chip is None:
            raise DeviceError("it has not been programmed")
        acting = self._couplers.acting()
        names = [block.name for block in couplings.blocks]
        load(chip, names, acting[: len(names)], couplings, self._placement.units)
        self._input = [forth for forth, _ in acting[len(names) :]]
        return acting

    def _fail_at_times(self) -> None:
        share = self._emulator.transient_faults
        if share and float(torch.rand((), generator=self._streams.faults)) < share:
            raise TransientError("a packet was lost (emulated)")

    @torch.no_grad()
    def settle(self, drive: Drive, deadline: float) -> Readout:
        self._fail_at_times()
        if self._emulator.drift:
            self._couplers.age()
            self._load()
        problem = self._problem(drive)
        start = self._start(problem, drive)
        reads: list[Array] = []
        relaxation, draws_noise = None, False
        while len(reads) < drive.reads:
            if relaxation is None or draws_noise:
                before = self._streams.dynamics.get_state()
                relaxation = self._relax(problem, start)
                draws_noise = not torch.equal(before, self._streams.dynamics.get_state())
            reads.append(self._read(relaxation.state))
        assert relaxation is not None, "at least one read is asked for"
        self._stands_at = relaxation.state
        settled = None if relaxation.converged is None else relaxation.converged.cpu().numpy()
        return Readout(np.stack(reads) if drive.reads > 1 else reads[0], settled)

    def _relax(self, problem: Problem, start: State | None) -> Relaxation:
        generator = self._streams.dynamics
        if isinstance(self._relaxer, IterativeRelaxer):
            return self._relaxer.relax(problem, start, generator=generator, buffers=self._buffers)
        return self._relaxer.relax(problem, start, generator=generator)

    def _problem(self, drive: Drive) -> Problem:
        """The phase that a drive means."""
        if self._chip is None:
            raise DeviceError("it has not been programmed")
        field, pull = self._field(drive), None
        if drive.nudge is not None and drive.curvature is not None:
            field, pull = field - drive.nudge, self._pull(drive.nudge, drive.curvature)
        problem = Problem.of_fields(self._chip, self._energy, self._units.tensors(field))
        if drive.held is not None and drive.values is not None:
            problem = problem.clamped(*self._units.clamps(drive.held, drive.values))
        scale = None if drive.strength is None else self._tensor(drive.strength)
        if pull is not None:
            problem = problem.nudged(PULL, *pull)
        return attrs.evolve(problem, phase=drive.phase, scale=scale)

    def _field(self, drive: Drive) -> Array:
        """h, with the product of the input where the chip owns it."""
        field = drive.field
        if drive.inputs is not None and self._couplings is not None:
            field = field.copy()
            for block, values in zip(self._couplings.inputs, self._input, strict=True):
                field[:, block.rows] += drive.inputs[:, block.columns] @ values.T
        return field

    def _pull(self, nudge: Array, curvature: Array) -> tuple[Tensor, Tensor]:
        """Target and beta of the nudge 1/2 a r^2 - b r = beta/2 (r - y)^2 + const: beta = a, y = b / a."""
        at = self._placement.units[self._network.output]
        b, a = nudge[:, at], curvature[:, at]
        target = np.divide(b, a, out=np.zeros_like(b), where=a != 0)
        shape = self._network.layers[self._network.output].shape
        return self._tensor(target).view(-1, *shape), self._tensor(a[:, 0])

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._like)

    def _start(self, problem: Problem, drive: Drive) -> State | None:
        """Where the phase begins; units that go on keep what the dynamics remembers of them."""
        if isinstance(drive.start, str):
            return self._stands_at if drive.start == "last" else None
        return State(self._units.states(drive.start))

    def _read(self, state: State) -> Array:
        """One read of all units: noisy, in levels."""
        values, widths = self._units.reported(state), self._units.widths()
        if self._capabilities.readout_noise:
            noise = normal(values.shape, self._streams.noise).clip(-6.0, 6.0)
            values = values + self._capabilities.readout_noise * widths * noise
        return values if self._capabilities.readout_bits is None else self._units.codes(values)

    def state(self) -> bytes:
        """Generators and couplers, as arrays."""
        buffer = io.BytesIO()
        np.savez(buffer, **self._streams.state(), **self._couplers.state())  # type: ignore[arg-type]
        return buffer.getvalue()

    def restore(self, state: bytes) -> None:
        with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
            self._streams.restore(arrays)
            self._couplers.restore(arrays)

    def close(self) -> None:
        self._chip, self._stands_at, self._buffers = None, None, Buffers()
