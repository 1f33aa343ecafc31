"""What must be true of a state that comes back from settling, whoever settled it: a device, a plugin, this computer.

Shapes are looked at always. Values are looked at on the CPU only: elsewhere a look would wait for the device. There it
costs one pass over each layer, for its smallest and its largest value; a nan is both.
"""

import math
from typing import Any

import torch
from torch import Tensor

from eb_core.network.network import Layer, Network
from eb_core.physics.domain import Box, Circle, Domain, Line
from eb_core.registry import Fault
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State

SLACK = 1e-6
"""How far beyond the walls of its domain a state may lie, in widths of the domain: a change of units rounds."""
LARGE = 1e4
"""Weights beyond this have run away: networks are drawn with weights of order 1 at most."""
STEPS = ("dt", "lr", "eps")
"""What the option of a relaxer is called that is its step."""


def is_sound(relaxation: Any, problem: Problem) -> bool:
    """Whether all is as it should be beyond doubt: the one look that every phase gets. If not, ask `fault_of`."""
    if _wrong_form(relaxation, problem):
        return False
    if problem.x.device.type != "cpu":
        return True
    for layer in problem.network.unit_layers:
        s, clamp = relaxation.state.units[layer.name], problem.clamps.get(layer.name)
        if not (_is_within(s, problem.energy.domain(layer)) if clamp is None else s is clamp.values):
            return False
    return True


def _is_within(s: Tensor, domain: Domain) -> bool:
    """Whether all units are finite and in a domain that is an interval: one pass."""
    if s.requires_grad:
        s = s.detach()
    if not s.is_contiguous():  # several times faster in the order of memory
        s = s.t() if s.ndim == 2 else s.permute(sorted(range(s.ndim), key=s.stride, reverse=True))
    ends = torch.aminmax(s)
    low, high = ends.min.item(), ends.max.item()
    if type(domain) is Box:
        return domain.lower <= low and high <= domain.upper and high - low < math.inf
    return type(domain) in (Line, Circle) and high - low < math.inf


def fault_of(relaxation: Any, problem: Problem, relaxer: Relaxer, settler: str) -> Fault | None:
    """What is wrong with a state that came back, or None.

    Args:
        relaxation: what came back, of whatever type.
        problem: the phase that was to settle.
        relaxer: the dynamics that settled it.
        settler: who settled it, in words.
    """
    flaw = _wrong_form(relaxation, problem)
    if flaw:
        advice = "mend what it hands back, as the docstring of Relaxation says"
        return Fault(f"{settler}, {problem.phase} phase: {flaw}", settler, advice)
    for layer in problem.network.unit_layers:
        s = relaxation.state.units[layer.name].detach()
        bad = _bad_units(s, problem, layer)
        if bool(bad.any()):
            return _fault_of_values(layer, s, bad, problem, relaxer, settler)
    return None


def weights_beyond(network: Network) -> str | None:
    """In words, the parameter that is not finite or has run away; None if all are in order."""
    sizes = {name: float(value.detach().abs().max()) for name, value in network.named_parameters() if value.numel()}
    name = max(sizes, key=lambda one: math.inf if math.isnan(sizes[one]) else sizes[one], default=None)
    return None if name is None or sizes[name] <= LARGE else f"{name} holds values as large as {sizes[name]:.3g}"


def _wrong_form(relaxation: Any, problem: Problem) -> str | None:
    """What does not have the type, shape, precision or device that was promised."""
    if not isinstance(relaxation, Relaxation) or not isinstance(relaxation.state, State):
        return f"a {type(relaxation).__name__} came back, expected is a Relaxation with a State"
    x, batch = problem.x, problem.batch
    for layer in problem.network.unit_layers:
        s, shape = relaxation.state.units.get(layer.name), (batch, *layer.shape)
        if not isinstance(s, Tensor) or s.shape != shape or s.dtype != x.dtype or s.device != x.device:
            return f"layer '{layer.name}' came back as {_form(s)}, expected is {x.dtype} of shape {shape} on {x.device}"
    steps, converged = relaxation.steps, relaxation.converged
    if steps is not None and (
        not isinstance(steps, Tensor) or steps.shape != (batch,) or steps.dtype.is_floating_point
    ):
        return f"its steps came back as {_form(steps)}, expected are whole numbers of shape ({batch},)"
    if converged is not None and (
        not isinstance(converged, Tensor) or converged.shape != (batch,) or converged.dtype != torch.bool
    ):
        return f"converged came back as {_form(converged)}, expected is torch.bool of shape ({batch},)"
    for name, value in relaxation.state.memory.items():
        if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != batch:
            return f"the memory '{name}' came back as {_form(value)}, expected is a shape of ({batch}, …)"
    return None


def _form(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "nothing" if value is None else f"a {type(value).__name__}"
    return f"{value.dtype} of shape {tuple(value.shape)} on {value.device}"


def _bad_units(s: Tensor, problem: Problem, layer: Layer) -> Tensor:
    """Which units are not finite, outside their domain, or not at the value of their clamp."""
    clamp, inside = problem.clamps.get(layer.name), _inside(s, problem.energy.domain(layer))
    if clamp is None:
        return ~inside
    held = torch.isclose(s, clamp.values, rtol=SLACK, atol=SLACK)
    return ~held if clamp.mask is None else ~torch.where(clamp.mask, held, inside)


def _inside(s: Tensor, domain: Domain) -> Tensor:
    """Which units are finite and in their domain; for a domain of a plugin's own the width is taken to be 1."""
    if type(domain) is Box:
        slack = _slack(domain)
        within = (s >= domain.lower - slack) & (s <= domain.upper + slack)
    else:
        within = domain.distance(domain.project(s), s) <= SLACK
    return within & torch.isfinite(s)


def _slack(box: Box) -> float:
    width = box.upper - box.lower
    return SLACK * (width if math.isfinite(width) else 1.0)


def _fault_of_values(layer: Layer, s: Tensor, bad: Tensor, problem: Problem, relaxer: Relaxer, settler: str) -> Fault:
    """The first sample that is wrong, its value, and what is likely to have caused it."""
    sample = int(bad.flatten(1).any(1).nonzero()[0, 0])
    wrong = bad[sample]
    value, held = float(s[sample][wrong][0]), float(problem.apply_clamp(layer.name, s)[sample][wrong][0])
    what = f"{settler}, {problem.phase} phase: layer '{layer.name}', sample {sample} came back as {value:.6g}"
    if not math.isfinite(value):
        beyond = weights_beyond(problem.network)
        if beyond:
            return Fault(f"{what}; {beyond}", settler, "lower lr or the gain of the model")
        return Fault(f"{what}: it diverged", settler, _shorter_step(relaxer))
    if held != value:
        return Fault(
            f"{what}, clamped at {held:.6g}", settler, "leave clamped units at their values: Problem.apply_clamp"
        )
    return Fault(
        f"{what}, outside its domain {problem.energy.domain(layer)}",
        settler,
        "project states on to the domain of the energy before they are handed back",
    )


def _shorter_step(relaxer: Relaxer) -> str:
    given = [f"{name} = {getattr(relaxer, name)}" for name in STEPS if getattr(relaxer, name, None) is not None]
    step = f"shorten the step of the dynamics ({given[0]})" if given else "take a dynamics without a step"
    return f"{step}, or weaken the couplings: a smaller gain, or lr"
