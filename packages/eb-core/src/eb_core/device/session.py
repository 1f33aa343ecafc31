"""The session of a device: what every author would have to write, once.

It programs when weights have changed, cuts a batch to what the device takes, starts each phase where the device can,
repeats what failed for a moment, opens anew what was lost, checks what comes back, and counts.
"""

import copy
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np
import torch

from eb_core.device.contract import Array, Couplings, Device, Drive, Programmed, Readout
from eb_core.device.host import LostError
from eb_core.device.line import Line
from eb_core.device.phases import Translation
from eb_core.device.usage import Usage
from eb_core.learning.session import Session
from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.registry import RunError
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State

if TYPE_CHECKING:
    from eb_core.device.backend import DeviceBackend

Start = Literal["reset", "last"] | Array


class DeviceSession(Session):
    """A device that is open, programmed with the weights of one network.

    Attributes:
        placement: which unit of the device each unit of the network is.
        programmed: the network with the weights that the device holds, as far as it says them.
        counts: what it was used for.
        line: calls of the device.

    Args:
        connect: makes the device in this process, for one that is a simulation; default: what the backend connects.
    """

    def __init__(
        self,
        network: Network,
        energy: Energy,
        relaxer: Relaxer,
        backend: "DeviceBackend",
        connect: Callable[[], Device] | None = None,
    ) -> None:
        super().__init__(network, energy, relaxer)
        self.backend, self.capabilities = backend, backend.capabilities()
        self.placement = backend.compile(network, energy)
        self._translation = Translation(self.placement, energy)
        self.supports_stacked_phases = self.capabilities.stacks_phases
        self.largest_batch = self.capabilities.max_batch
        self.programmed = copy.deepcopy(network)
        self.counts = Usage()
        self.line = Line(backend, self.settler, self.counts, connect, self._forget)

    @property
    def settler(self) -> str:
        return self.backend.named(self.capabilities)

    @property
    def usage(self) -> Mapping[str, float]:
        return self.counts.figures()

    def _forget(self) -> None:
        """Nothing is known of a device that has just been opened."""
        self._version: int | None = None
        self._stands_at: State | None = None
        self._origins: tuple[State, Drive] | None = None

    @torch.no_grad()
    def _program(self) -> None:
        """Send the weights, if they have changed."""
        if self._version == self.network.version and self.capabilities.programs_per == "update":
            return
        couplings, clipped = self.placement.program(self.network, self.energy)
        started = time.perf_counter()
        programmed = self.line.call("program", couplings)
        told = getattr(programmed, "seconds", None)
        taken, said = time.perf_counter() - started, self.capabilities.program_seconds
        self._count(next(seconds for seconds in (told, said, taken) if seconds is not None))
        self.counts.programs += 1
        self._stands_at, self._origins = None, None
        if self._version == self.network.version:
            return
        programmed = self._sound(programmed, couplings)
        self.counts.clipped += clipped + programmed.clipped
        self._keep(couplings, programmed)
        self._version = self.network.version

    def _sound(self, programmed: Any, couplings: Couplings) -> Programmed:
        """What was programmed, as the device says it, checked."""
        if programmed is None:
            return Programmed()
        shapes = [block.values.shape for block in (*couplings.blocks, *couplings.inputs)]
        if not isinstance(programmed, Programmed):
            raise RunError(
                f"{self.settler}: program returned a {type(programmed).__name__}, expected is Programmed or None"
            )
        for kind, blocks in (("effective", programmed.effective), ("held", programmed.held)):
            if blocks is None:
                continue
            given = [np.shape(values) for values in blocks]
            if given != shapes or not all(np.all(np.isfinite(values)) for values in blocks):
                what = f"shapes {given}, expected are {shapes}" if given != shapes else "numbers that are not finite"
                raise RunError(f"{self.settler}: the {kind} couplings came back with {what}")
        return programmed

    def _keep(self, couplings: Couplings, programmed: Programmed) -> None:
        """Weights as they act, in `programmed`, and without shadow weights as they are held, in the network itself."""
        self.programmed = copy.deepcopy(self.network)  # another one: what has settled belongs to the one before
        blocks = (*couplings.blocks, *couplings.inputs)
        asked = tuple(block.values for block in blocks)
        held = programmed.held or asked
        taken = [(self.programmed, programmed.effective or held)]
        taken += [] if self.backend.shadow else [(self.network, held)]
        for network, every in taken:
            for block, values in zip(blocks, every, strict=True):
                edge = network.edges[block.name]
                weight = next(edge.parameters())
                edge.take_matrix_(torch.as_tensor(np.asarray(values)).to(weight))

    def _count(self, seconds: float) -> None:
        self.counts.seconds += seconds
        if self.capabilities.watts is not None:
            self.counts.joules += self.capabilities.watts * seconds

    def settle(
        self, problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        self._translation.require_offered(problem)
        most = self.largest_batch or problem.batch
        if problem.batch <= most:
            return self._settle(problem, start)
        parts = []
        for first in range(0, problem.batch, most):
            rows = torch.arange(first, min(first + most, problem.batch), device=problem.x.device)
            parts.append(self._settle(problem.select(rows), None if start is None else start.select(rows)))
        return Relaxation.join(parts)

    def _settle(self, problem: Problem, start: State | None) -> Relaxation:
        """One phase of a batch that the device takes at once."""

        def action() -> tuple[list[State], Drive, Any]:
            self._program()
            drive, clipped = self._translation.drive(problem, start)
            self.counts.clipped += clipped
            drive = attrs.evolve(drive, start=self._start(problem, start))
            states: list[State] = []
            settled = None
            while len(states) < self.backend.reads:
                readout = self._once(attrs.evolve(drive, reads=self.backend.reads - len(states)))
                states += self._translation.states(readout, problem, self.settler)
                settled = readout.settled
            return states[: self.backend.reads], drive, settled

        states, drive, settled = self.line.persistently(action, problem.phase)
        converged = None if settled is None else torch.as_tensor(np.asarray(settled, dtype=bool)).to(problem.x.device)
        relaxation = self._relaxation(problem, states, converged)
        self._check_alive(relaxation, drive)
        self._stands_at = relaxation.state
        if problem.phase == "free":
            self._origins = relaxation.state, drive
        return relaxation

    def _relaxation(self, problem: Problem, reads: list[State], converged: torch.Tensor | None) -> Relaxation:
        held = attrs.evolve(problem, network=self.programmed, drives={})
        state = reads[0] if len(reads) == 1 else self._mean(reads)
        return Relaxation(held, state, None, converged, reads=tuple(reads) if len(reads) > 1 else ())

    def _mean(self, reads: list[State]) -> State:
        """Mean of several reads."""
        layers = self.network.unit_layers
        values = {layer: torch.stack([read[layer.name] for read in reads]) for layer in layers}
        return State({layer.name: self.energy.domain(layer).mean(s) for layer, s in values.items()})

    def _once(self, drive: Drive) -> Readout:
        started = time.perf_counter()
        readout: Readout = self.line.call("settle", drive, self.backend.deadline)
        values = getattr(readout, "values", None)
        reads = len(values) if isinstance(values, np.ndarray) and values.ndim == 3 else 1
        self.counts.settles += reads
        self.counts.samples += reads * drive.batch
        said = self.capabilities.seconds_of(drive.batch)
        taken = time.perf_counter() - started if said is None else said * reads
        told = getattr(readout, "seconds", None)
        self._count(taken if told is None else float(told))
        return readout

    def _start(self, problem: Problem, start: State | None) -> Start:
        """Where the device begins: at the state asked for, or as near to it as it can."""
        can = self.capabilities.starts
        if start is None:
            return "reset" if "reset" in can else self._written(problem, problem.initial_state())
        if "last" in can and start is self._stands_at:
            return "last"
        if "write" in can:
            return self._written(problem, start)
        if "last" in can and self._origins is not None and start is self._origins[0]:
            self._once(self._origins[1])  # back to where the free phase ended, as nothing else leads there
            return "last"
        return "reset" if "reset" in can else "last"

    def _written(self, problem: Problem, start: State) -> Start:
        return self._translation.written(problem, start) if "write" in self.capabilities.starts else "last"

    def _check_alive(self, relaxation: Relaxation, drive: Drive) -> None:
        """Refuse a state in which every unit of every sample has one and the same value, whatever drives it."""
        if relaxation.problem.batch < 2 or drive.held is not None or not np.ptp(drive.field, axis=0).any():
            return
        ends = [value.aminmax() for value in relaxation.state.units.values()]
        low, high = min(float(end.min) for end in ends), max(float(end.max) for end in ends)
        if low == high:
            raise RunError(
                f"{self.settler}, {drive.phase} phase: all units of all {drive.batch} samples came back as {low:g},"
                " whatever drives them: the device is dead",
                origin="the device",
                advice="is it on, and connected? eb check --backend NAME tries it",
            )

    @property
    def facts(self) -> Mapping[str, Any]:
        said = {"settled_by": self.settler, "serial": self.capabilities.serial, "dated": self.capabilities.dated}
        return {name: value for name, value in {**said, "calibration": self.line.calibration}.items() if value}

    def state(self) -> bytes | None:
        """Whether the device holds the present weights, in one byte, and what it says of itself.

        A device that is lost is not opened anew for it: that one would tell of another state.
        """
        try:
            own = self.line.call("state")
        except LostError as error:
            raise RunError(f"{self.settler}: its state cannot be kept: {error}", origin="the device") from error
        if not isinstance(own, bytes | None):
            raise RunError(f"{self.settler}: state gave a {type(own).__name__}, expected are bytes or None")
        return None if own is None else bytes([self._version == self.network.version]) + own

    def restore(self, state: bytes) -> None:
        def action() -> None:
            if state[0]:
                self._program()
            self.line.call("restore", state[1:])

        self.line.persistently(action, "no")

    def close(self) -> None:
        self.line.close()
