"""What a device is to the rest: it is programmed with couplings, settles under a drive, and is closed.

    F(s) = sum_i self(s_i) - sum_(i, j) J_ij u_i u_j - sum_i h_i u_i + 1/2 sum_i a_i u_i^2

Everything is numpy, in device indices 0 … N-1: this module and those that an author writes import no torch. u is what a
unit shows to others (its state, or the cosine and sine of its phase; h and a then act on the cosine).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Phase = Literal["free", "nudged", "clamped"]


class DeviceError(Exception):
    """The device failed: it is opened anew once, and what failed is tried again; then the run ends."""


class TransientError(DeviceError):
    """A failure that is over by itself, a lost packet for example: the call is repeated."""


@attrs.frozen(eq=False)
class Block:
    """Couplings between two groups of units, each pair once: J[rows[p], columns[q]] = values[p, q] in both directions.

    Args:
        rows: device indices, (P,) int64; columns: likewise, (Q,).
        values: (P, Q) float64, already in the range and on the levels that the capabilities say.
        name: edge of the network that it comes from, for messages.
    """

    rows: Array
    columns: Array
    values: Array
    name: str = ""


@attrs.frozen(eq=False)
class Couplings:
    """All couplings of a network.

    Args:
        size: N, number of units of the device.
        blocks: one for each edge between units of the device.
        inputs: one for each edge from the input, its columns input lines 0 … M-1, where the device owns that product.
        outputs: device indices of the output units, int64.
        lowest, highest: ends of the states of each unit as the device reports them, (N,); infinite where there is none,
            0 and 0 for units that are not used.
        curvature: a of each unit from edges with a self-term, (N,), or None for 0.
        unit: options of the energy of a unit by name, such as the strength of a synchronisation.
    """

    size: int
    blocks: tuple[Block, ...]
    outputs: Array
    lowest: Array
    highest: Array
    inputs: tuple[Block, ...] = ()
    curvature: Array | None = None
    unit: Mapping[str, Any] = attrs.field(factory=dict)

    def dense(self) -> Array:
        """J as a symmetric matrix, (N, N) float64."""
        matrix = np.zeros((self.size, self.size))
        for block in self.blocks:
            matrix[np.ix_(block.rows, block.columns)] += block.values
            matrix[np.ix_(block.columns, block.rows)] += block.values.T
        return matrix

    def triples(self) -> tuple[Array, Array, Array]:
        """(i, j, J_ij) of every pair that is coupled, each once: what annealers take."""
        rows, columns, values = [], [], []
        for block in self.blocks:
            p, q = np.nonzero(block.values)
            rows.append(block.rows[p])
            columns.append(block.columns[q])
            values.append(block.values[p, q])
        empty = np.zeros(0, dtype=np.int64)
        if not rows:
            return empty, empty, np.zeros(0)
        return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)


@attrs.frozen(eq=False)
class Programmed:
    """What was really programmed, where it is not what was asked for.

    Args:
        effective: what acts on the units: values of each block, (P, Q), in the order of `blocks` and then of `inputs`;
            None: as asked for, or not known.
        clipped: number of couplings that were cut to the range of the device.
        seconds: device time that it took, or None.
        held: what its memory holds, likewise, where that is not what was asked for: the weights that a training without
            shadow weights goes on with.
    """

    effective: tuple[Array, ...] | None = None
    clipped: int = 0
    seconds: float | None = None
    held: tuple[Array, ...] | None = None


@attrs.frozen(eq=False)
class Drive:
    """One phase of B samples.

    Args:
        phase: kind of the phase.
        field: h, (B, N) float64: bias, what the input drives, and the nudge; 0 for units that are not used.
        inputs: x, (B, M), where the device owns the product with the input; it is not in `field` then.
        curvature: a that the nudge adds, (B, N), or None.
        nudge: the part of `field` that the nudge adds, (B, N), or None.
        strength: |beta| of each sample, (B,), or None in a free phase.
        held: units that are clamped, (B, N) bool, or None; values: what they are held at, (B, N).
        start: "reset" for the rest of the device, "last" to go on where it stands, or states (B, N) in the
            units of the ranges, phases in radians, never codes.
        reads: states wanted of each sample; a device that gives fewer is asked again.
    """

    phase: Phase
    field: Array
    inputs: Array | None = None
    curvature: Array | None = None
    nudge: Array | None = None
    strength: Array | None = None
    held: Array | None = None
    values: Array | None = None
    start: Literal["reset", "last"] | Array = "reset"
    reads: int = 1

    @property
    def batch(self) -> int:
        """B."""
        return len(self.field)


@attrs.frozen(eq=False)
class Readout:
    """The states that a device has settled to.

    Args:
        values: (B, N), or (R, B, N) for R reads: of a floating type states in the ranges of the capabilities, of
            an integer type codes 0 … 2^readout_bits - 1. Units that are not used may hold anything.
        settled: which samples the device says are settled, (B,) bool, or None.
        seconds: device time that it took, or None.
    """

    values: Array
    settled: Array | None = None
    seconds: float | None = None


class Device(ABC):
    """What an author writes. It may keep state, and lives in a process of its own unless told otherwise.

    Any exception is a device error; raise `TransientError` for a failure that a second try may not have.
    """

    @abstractmethod
    def program(self, couplings: Couplings) -> Programmed | None:
        """Load new couplings: the slow path, once for each update of the weights. None: exactly what was asked for."""

    @abstractmethod
    def settle(self, drive: Drive, deadline: float) -> Readout:
        """Settle one phase and read the states: the fast path.

        Args:
            drive: what acts on the units; arrays are yours for the time of the call.
            deadline: seconds until the process is ended from outside.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the device back. It is called once, after errors, too."""

    def calibrate(self) -> Mapping[str, float]:
        """Calibrate, and say in figures how good it is: kept in the manifest of a run. Called when it is opened."""
        return {}

    def state(self) -> bytes | None:
        """What a checkpoint must keep so that it goes on as if never stopped (a noise stream, a drift), or None."""
        return None

    def restore(self, state: bytes) -> None:  # noqa: B027 - most devices have nothing to restore
        """Go on from what `state` gave."""
