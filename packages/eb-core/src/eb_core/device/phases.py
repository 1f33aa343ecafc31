"""A phase in the terms of a device, and a read-out in those of a phase."""

import math

import attrs
import numpy as np
import torch
from torch import Tensor

from eb_core.device.capabilities import Capabilities
from eb_core.device.contract import Array, Drive, Readout
from eb_core.device.levels import decoded, fitted
from eb_core.device.placement import Placement, ends_of
from eb_core.network.network import Layer
from eb_core.physics.domain import Box, Circle, Domain
from eb_core.physics.energy import Energy
from eb_core.registry import RunError, UsageError
from eb_core.settling.nudge import Nudge
from eb_core.settling.problem import Problem
from eb_core.settling.state import State

SLACK = 1e-6
"""How far beyond its range a state may be reported, in widths of the range, and six times the noise of a read."""


@attrs.frozen(eq=False)
class Translation:
    """Between phases of a network and a device that it is placed on."""

    placement: Placement
    energy: Energy

    @property
    def _capabilities(self) -> Capabilities:
        return self.placement.capabilities

    def require_offered(self, problem: Problem) -> None:
        """Refuse clamps and nudges that the device does not have: it would ignore them, and nobody would see.

        Raises:
            UsageError: with what is needed and what there is.
        """
        can, nudge = self._capabilities, problem.nudge
        lacks = []
        if problem.clamps and can.clamp == "none":
            lacks.append("the phase clamps units, and the device clamps nothing")
        elif can.clamp == "layers" and any(clamp.mask is not None for clamp in problem.clamps.values()):
            lacks.append("the phase clamps single units, and the device clamps whole layers")
        if nudge is not None and can.nudge == "none":
            lacks.append("the phase nudges the output, and the device has no nudge")
        elif nudge is not None and can.nudge == "quadratic" and nudge.closed() is None:
            lacks.append("the cost is not quadratic in the read-out, and the device nudges by beta (y - r)")
        if lacks:
            raise UsageError(*lacks, origin="the device", advice="choose another rule or cost; see its capabilities")

    @torch.no_grad()
    def drive(self, problem: Problem, free: State | None) -> tuple[Drive, int]:
        """The drive of a phase, and how many fields were clipped.

        Args:
            problem: the phase.
            free: the state that it starts from, which a constant current is computed at.
        """
        field = self._gathered(problem, lambda layer: self._constant(problem, layer))
        nudge, curvature, output = None, None, problem.network.output
        if problem.nudge is not None:
            pull, bend = self._pull(problem, problem.nudge, free)
            nudge = np.zeros_like(field)
            nudge[:, self.placement.units[output]] = _numbers(pull)
            field = field + nudge
            if bend is not None:
                curvature = np.zeros_like(field)
                curvature[:, self.placement.units[output]] = _numbers(bend)
        field, clipped = fitted(field, self._capabilities.field_range, self._capabilities.field_bits)
        idle = np.ones(self.placement.size, dtype=bool)
        for units in self.placement.units.values():
            idle[units] = False
        field[:, idle] = 0.0
        held, values = self._held(problem)
        return Drive(
            problem.phase,
            field,
            _numbers(problem.x).copy() if self._capabilities.inputs == "units" else None,
            curvature,
            nudge,
            None if problem.scale is None else problem.scale.double().cpu().numpy().copy(),
            held,
            values,
        ), clipped

    def _constant(self, problem: Problem, layer: Layer) -> Tensor:
        if self._capabilities.inputs == "fields":
            return problem.constant_field(layer)
        bias = problem.network.bias(layer.name)
        return (problem.x.new_zeros(()) if bias is None else bias).expand(problem.batch, *layer.shape)

    def _pull(self, problem: Problem, nudge: Nudge, free: State | None) -> tuple[Tensor, Tensor | None]:
        """What the nudge adds to fields and to curvatures of the output."""
        closed = nudge.closed()
        if self._capabilities.nudge == "quadratic" and closed is not None:
            return closed[1], closed[0]
        if free is None:
            raise RunError(
                "this device nudges with a constant current, and the phase does not start from a free state",
                advice="settle the free phase first, and hand its state over",
            )
        return -nudge.slope(problem.readout(free)), None

    def _gathered(self, problem: Problem, values_of: "object") -> Array:
        array = np.zeros((problem.batch, self.placement.size))
        for layer in problem.network.unit_layers:
            array[:, self.placement.units[layer.name]] = _numbers(values_of(layer))  # type: ignore[operator]
        return array

    def _held(self, problem: Problem) -> tuple[Array | None, Array | None]:
        if not problem.clamps:
            return None, None
        held, values = (
            np.zeros((problem.batch, self.placement.size), dtype=bool),
            np.zeros((problem.batch, self.placement.size)),
        )
        for name, clamp in problem.clamps.items():
            layer, units = problem.network.layers[name], self.placement.units[name]
            mask = clamp.values.new_ones(clamp.values.shape, dtype=torch.bool) if clamp.mask is None else clamp.mask
            held[:, units] = mask.expand(clamp.values.shape).flatten(1).cpu().numpy()
            values[:, units] = self._reported(layer, clamp.values)
        return held, values

    def written(self, problem: Problem, start: State) -> Array:
        """A state as the device takes it, (B, N)."""
        return self._gathered(problem, lambda layer: torch.from_numpy(self._reported(layer, start[layer.name])))

    def _reported(self, layer: Layer, s: Tensor) -> Array:
        """States of a layer in the units of the device, (B, size)."""
        values, domain = _numbers(s), self.energy.domain(layer)
        ends = ends_of(layer, self.energy, self._capabilities)
        if isinstance(domain, Box) and ends is not None and math.isfinite(domain.upper - domain.lower):
            width = domain.upper - domain.lower
            return ends[0] + (values - domain.lower) * ((ends[1] - ends[0]) / width)
        return np.mod(values, 2 * math.pi) if isinstance(domain, Circle) else values

    def states(self, readout: Readout, problem: Problem, device: str) -> list[State]:
        """One state for each read.

        Raises:
            RunError: it has another type or shape than was promised, is not finite, outside its range, or dead.
        """
        where = f"{device}, {problem.phase} phase"
        values = self._array(readout, problem, where)
        states = []
        for one in values:
            units = {}
            for layer in problem.network.unit_layers:
                states_of_layer = self._logical(layer, one[:, self.placement.units[layer.name]], where)
                s = torch.from_numpy(states_of_layer).to(problem.x).view(problem.batch, *layer.shape)
                units[layer.name] = problem.apply_clamp(layer.name, self.energy.domain(layer).project(s))
            states.append(State(units))
        return states

    def _array(self, readout: Readout, problem: Problem, where: str) -> Array:
        """The values that were read, (R, B, N)."""
        values = getattr(readout, "values", None)
        shape = (problem.batch, self.placement.size)
        if not isinstance(readout, Readout) or not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
            what = (
                f"values of type {type(values).__name__}"
                if isinstance(readout, Readout)
                else f"a {type(readout).__name__}"
            )
            if isinstance(values, np.ndarray):
                what = f"values of type {values.dtype}"
            raise _faulty(f"{where}: {what} came back, expected is a Readout of an array of real numbers", where)
        if values.ndim not in (2, 3) or values.shape[-2:] != shape:
            several = f"({', '.join(map(str, ('reads', *shape)))})"
            what = f"values of shape {values.shape} came back, expected is {shape}, or {several} for several reads"
            raise _faulty(f"{where}: {what}", where)
        if values.ndim == 3 and not len(values):
            raise _faulty(f"{where}: no read came back", where)
        if readout.settled is not None and np.shape(readout.settled) != shape[:1]:
            raise _faulty(f"{where}: settled has the shape {np.shape(readout.settled)}, expected is {shape[:1]}", where)
        array: Array = values if values.ndim == 3 else values[None]
        return array

    def _logical(self, layer: Layer, values: Array, where: str) -> Array:
        """States of a layer, (B, size), from what was read."""
        domain, ends = self.energy.domain(layer), ends_of(layer, self.energy, self._capabilities)
        bits = self._capabilities.readout_bits
        if values.dtype.kind in "iu":
            if bits is None or ends is None:
                raise _faulty(f"{where}: codes came back, and the capabilities say no readout_bits", where)
            _require(~((values < 0) | (values >= 2**bits)), values, f"codes of {bits} bits", layer, where)
            values = decoded(values.astype(np.float64), ends, bits, isinstance(domain, Circle))
        values = values.astype(np.float64)
        _require(np.isfinite(values), values, "finite states", layer, where)
        if isinstance(domain, Circle):
            turn = np.abs(values) <= 2 * math.pi * (1 + SLACK + 6 * self._capabilities.readout_noise)
            _require(turn, values, "angles of one turn in radians; codes are whole numbers in type, too", layer, where)
            return values
        if ends is None:
            return values
        width = ends[1] - ends[0]
        slack = width * (SLACK + 6 * self._capabilities.readout_noise)
        inside = (values >= ends[0] - slack) & (values <= ends[1] + slack)
        codes = "; codes are whole numbers in type, too" if bits is not None else ""
        _require(inside, values, f"states from {ends[0]:g} to {ends[1]:g}{codes}", layer, where)
        return _from_ends(values, ends, domain)


def _from_ends(values: Array, ends: tuple[float, float], domain: Domain) -> Array:
    if not isinstance(domain, Box) or not math.isfinite(domain.upper - domain.lower):
        return values
    return domain.lower + (values - ends[0]) * ((domain.upper - domain.lower) / (ends[1] - ends[0]))


def _numbers(values: Tensor) -> Array:
    """(B, …) as (B, size) float64 in numpy."""
    array: Array = values.detach().flatten(1).double().cpu().numpy()
    return array


def _require(good: Array, values: Array, expected: str, layer: Layer, where: str) -> None:
    if bool(good.all()):
        return
    sample, unit = (int(index) for index in np.argwhere(~good)[0])
    share = f"; {np.count_nonzero(~good):,} of {good.size:,} are wrong" if np.count_nonzero(~good) > 1 else ""
    raise _faulty(
        f"{where}: layer '{layer.name}', sample {sample}, unit {unit} came back as {values[sample, unit]:.6g}, expected"
        f" are {expected}{share}",
        where,
    )


def _faulty(what: str, origin: str) -> RunError:
    return RunError(what, origin=origin, advice="the device or its driver is out of order: eb check --backend NAME")
