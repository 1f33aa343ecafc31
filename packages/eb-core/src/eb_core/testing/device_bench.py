"""A device on the bench: sessions on nets that fit it, what went over the wire, and what an ideal device would do.

States are compared by what a unit shows to others, its code of channel 0, in widths of its range: so mirrored phases
are one state.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import attrs
import torch
from torch import Tensor

from eb_core.device.backend import DeviceBackend
from eb_core.device.capabilities import Capabilities
from eb_core.device.dynamics import OnDevice
from eb_core.device.host import Host
from eb_core.device.levels import step_of
from eb_core.device.session import DeviceSession
from eb_core.device.usage import together
from eb_core.network.network import Network
from eb_core.physics.domain import Circle
from eb_core.physics.energy import KINDS, Energy
from eb_core.registry import EbError, Registry, UsageError, configurable
from eb_core.settling.iterative import IterativeRelaxer
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Properties, Relaxer
from eb_core.settling.state import State
from eb_core.settling.view import View
from eb_core.testing.device_nets import ends, fitting, probe_net, random_net
from eb_core.testing.report import OWN, SkippedError

BATCH = 6
EQUAL = 1e-6
"""Rounding between two states that are the same, in widths."""
MOST_READS = 64
"""So often a phase is settled at most to average over its noise."""


@configurable
class Blockwise(IterativeRelaxer):
    """What an ideal device settles to: one layer after the other at its minimum, again and again."""

    def properties(self) -> Properties:
        return Properties(needs_force=False)

    def step(self, view: View) -> None:
        for name in view.order():
            view.write(name, view.minimized(name))


IDEAL = Blockwise(steps=5000, nudged_steps=5000, tol=1e-9, nudged_tol=1e-9, check_every=10)


class Recorder(Host):
    """A host that keeps what went over the wire: (method, arguments, answer)."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.calls: list[tuple[str, tuple[Any, ...], Any]] = []

    def call(self, method: str, *arguments: Any, deadline: float) -> Any:
        answer = self.host.call(method, *arguments, deadline=deadline)
        self.calls.append((method, arguments, answer))
        return answer

    def close(self) -> str | None:
        return self.host.close()

    def of(self, method: str) -> list[tuple[tuple[Any, ...], Any]]:
        """Arguments and answer of each call of a method."""
        return [(arguments, answer) for name, arguments, answer in self.calls if name == method]


@attrs.define(eq=False, slots=False)
class Bench:
    """One device and the physics that it is checked with.

    Args:
        accuracy: how far a state may be from the ideal one, in widths of the range.
        seed: of nets and samples.
        relaxer: what settles the units of a backend that has no dynamics of its own.
        cosine: that its gradient must have; None: that of an ideal device which is read as declared, less a margin.
        registry: where an emulator for its twin is looked for; None: all that is installed.
        serial: number that the device says itself, once it was asked.
    """

    backend: DeviceBackend
    energy: Energy
    accuracy: float = 0.05
    seed: int = 0
    relaxer: Relaxer = IDEAL
    cosine: float | None = None
    registry: Registry | None = None
    serial: str = ""
    usage: Mapping[str, float] = attrs.field(factory=dict)
    twin_usage: Mapping[str, float] = attrs.field(factory=dict)
    _spread: float | None = None

    @functools.cached_property
    def capabilities(self) -> Capabilities:
        """What the device declares."""
        return self.backend.capabilities()

    @functools.cached_property
    def has_phases(self) -> bool:
        """Whether hidden units are angles."""
        return isinstance(self.energy.domain(KINDS[0]), Circle)

    @contextmanager
    def session(
        self, network: Network, backend: DeviceBackend | None = None
    ) -> Iterator[tuple[DeviceSession, Recorder]]:
        """The device open on a net, and what goes over the wire; one at a time, as there is one device."""
        opened = self.open(network, backend)
        recorder = record(opened)
        try:
            yield opened, recorder
        finally:
            if backend is None:
                self.usage = together(self.usage, opened.usage)
            else:
                self.twin_usage = together(self.twin_usage, opened.usage)
            with suppress(EbError):  # a check of its own looks at how it closes
                opened.close()

    @property
    def dynamics(self) -> str:
        """What settles the units, in words."""
        if self.backend.own_dynamics:
            return OWN
        said = "one layer after the other at its minimum" if self.relaxer is IDEAL else str(self.relaxer)
        return f"{said}, as {type(self.backend).__name__} has no dynamics of its own"

    def open(self, network: Network, backend: DeviceBackend | None = None) -> DeviceSession:
        """A session of the device, as a training opens it."""
        chosen = backend or self.backend
        relaxer = OnDevice() if chosen.own_dynamics else self.relaxer
        made = chosen.open(network, self.energy, relaxer, device=torch.device("cpu"), dtype=torch.float64)
        if not isinstance(made, DeviceSession):
            raise UsageError(f"{type(self.backend).__name__} opens a {type(made).__name__}, and no DeviceSession")
        return made

    def sizes(self, *wanted: int) -> tuple[int, ...]:
        """Sizes of layers that settle, cut to the device."""
        found = fitting(self.capabilities, wanted)
        if found is None:
            raise SkippedError(f"the device has no {len(wanted)} layers of units that could be coupled")
        return found

    def net(self, seed: int = 0) -> Network:
        """A small random net."""
        return random_net(self.energy, self.capabilities, self.sizes(6, 3), self.seed + seed)

    def probe(self, *wanted: int) -> tuple[Network, float]:
        """A net whose input k is a field on unit k, and the gain of that field."""
        sizes, lines = self.sizes(*wanted), self.capabilities.input_lines
        if self.capabilities.inputs == "units" and lines is not None and lines < sum(sizes):
            raise SkippedError(f"it needs an input for each of {sum(sizes)} units, and the device has {lines}")
        return probe_net(self.energy, self.capabilities, sizes)

    def samples(self, network: Network, batch: int = BATCH, seed: int = 0) -> Problem:
        """A free phase of random inputs in [0, 1]."""
        generator = torch.Generator().manual_seed(self.seed + 1000 + seed)
        shape = (batch, *network.layers[network.input].shape)
        return Problem.free(network, self.energy, torch.rand(shape, generator=generator, dtype=torch.float64))

    def ideal(self, problem: Problem, network: Network, start: State | None = None) -> State:
        """Where an ideal device with the weights of `network` settles, from rest unless told otherwise."""
        return IDEAL.relax(attrs.evolve(problem, network=network, drives={}), start).state

    def widths(self, network: Network) -> Tensor:
        """Width of the range of what each unit shows, (units,)."""
        pairs = [(layer.size, ends(layer, self.energy, self.capabilities)) for layer in network.unit_layers]
        return torch.cat([torch.full((size,), high - low, dtype=torch.float64) for size, (low, high) in pairs])

    @torch.no_grad()
    def shown(self, state: State, network: Network) -> Tensor:
        """What all units show, in widths of their ranges, (B, units)."""
        parts = []
        for layer in network.unit_layers:
            low, high = ends(layer, self.energy, self.capabilities)
            parts.append((self.energy.encode(layer, state[layer.name])[0].flatten(1) - low) / (high - low))
        return torch.cat(parts, dim=1)

    def apart(self, one: State, other: State, network: Network) -> float:
        """Largest distance of two states, in widths."""
        return float((self.shown(one, network) - self.shown(other, network)).abs().max())

    def mean_shown(self, session: DeviceSession, problem: Problem, start: State | None = None) -> Tensor:
        """What all units show on average over as many settles as the noise asks for."""
        network, count = session.network, self.repeats
        return torch.stack([self.shown(session.settle(problem, start).state, network) for _ in range(count)]).mean(0)

    @property
    def width_of_noise(self) -> float:
        """Standard deviation of one read that is declared, in widths of what a unit shows."""
        return self.capabilities.readout_noise * (math.pi if self.has_phases else 1.0)

    @property
    def scatter(self) -> float:
        """Standard deviation of one read of a settle, of what a unit shows, in widths."""
        return math.hypot(self.width_of_noise, self.spread)

    @property
    def field_step(self) -> float:
        """Distance of two levels of the field; 0 without levels."""
        ends_of_field, bits = self.capabilities.field_range, self.capabilities.field_bits
        return step_of(ends_of_field, bits) if ends_of_field and bits else 0.0

    @property
    def step(self) -> float:
        """Distance of two levels of the read-out, in widths; 0 without levels."""
        return 0.0 if self.capabilities.readout_bits is None else 1 / (2**self.capabilities.readout_bits - 1)

    @property
    def repeats(self) -> int:
        """Settles whose mean has a noise of a hundredth of the width."""
        return max(1, min(MOST_READS, math.ceil((self.scatter / 0.01) ** 2)))

    @property
    def noise(self) -> float:
        """Standard deviation of a mean over `repeats`, with what the levels add, in widths."""
        return math.hypot(self.scatter / self.repeats**0.5, self.step / 12**0.5)

    @property
    def blur(self) -> float:
        """How far two reads of one state may be apart, in widths."""
        return EQUAL + 8 * self.scatter + self.step

    @property
    def slack(self) -> float:
        """How far one read may be from an ideal state, in widths."""
        return self.accuracy + self.blur + self.field_step

    @property
    def spread(self) -> float:
        """Standard deviation of settling itself where the device declares that it is stochastic, in widths."""
        if not self.capabilities.stochastic:
            return 0.0
        if self._spread is None:
            network = self.net()
            with self.session(network) as (session, _):
                problem = self.samples(network)
                reads = torch.stack([self.shown(session.settle(problem).state, network) for _ in range(12)])
            self._spread = float((reads.var(0).mean() - self.width_of_noise**2).clamp(min=0).sqrt())
        return self._spread


def record(session: DeviceSession) -> Recorder:
    """Listen to what goes over the wire of a session that is open."""
    assert session.line.host is not None, "a session that is closed sends nothing"
    recorder = Recorder(session.line.host)
    session.line.host = recorder
    return recorder
