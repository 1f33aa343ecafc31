"""What a training needs against what a device offers: every misfit, before data is loaded."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from eb_core.device.capabilities import ANY, Capabilities
from eb_core.learning.rule import Rule
from eb_core.registry import Diagnostic, Setup, notice, refuse

if TYPE_CHECKING:
    from eb_core.device.backend import DeviceBackend


def misfits(backend: "DeviceBackend", setup: Setup) -> Iterator[Diagnostic]:
    """Everything that does not fit, each with what is needed against what is offered."""
    capabilities = backend.capabilities()
    if setup.energy is not None and capabilities.unit not in (setup.energy.unit, ANY):
        needed = f"'{setup.energy.unit}'" if setup.energy.unit else "of a kind that its energy does not name"
        yield refuse(f"units are {needed}, and those of the device are '{capabilities.unit}'", "energy")
    yield from _of_rule(capabilities, setup)
    if setup.network is not None and setup.energy is not None:
        placement = backend.compile(setup.network, setup.energy)
        yield from (refuse(fault, "model") for fault in placement.faults)
        if placement.faults:
            return
        if placement.is_lossy and not backend.allow_lossy:
            yield refuse(f"{placement.losses[0]}: lower the gain of the model, or say --allow-lossy", "model")
        if setup.with_notices and placement.losses:
            yield notice(f"the device loses: {'; '.join(placement.losses)}")


def _of_rule(capabilities: Capabilities, setup: Setup) -> Iterator[Diagnostic]:
    rule, cost = setup.rule, setup.cost
    if rule is None:
        return
    if rule.differentiates:
        yield refuse(
            "the rule differentiates through a simulation, and a device settles by itself: use c-ep or p-ep", "rule"
        )
        return
    said = type(rule).phases is not Rule.phases  # one that does not say its phases may settle any
    if said and "clamped" in rule.phases and capabilities.clamp == "none":
        yield refuse("the rule clamps the output, and the device clamps nothing: use c-ep or p-ep, which nudge", "rule")
    if "nudged" in rule.phases:
        if capabilities.nudge == "none":
            yield refuse("the output is nudged, and the device has no nudge", "rule")
        if capabilities.nudge == "quadratic" and cost is not None and cost.quadratic(torch.zeros(1, 1)) is None:
            yield refuse(
                "the cost is not quadratic in the read-out, and the device nudges by beta (y - r): use squared-error",
                "cost",
            )
    if getattr(rule, "warm_start", False) and "write" not in capabilities.starts:
        yield refuse(
            "warm_start begins a phase at a state of the batch before, and the device cannot be set to one", "rule"
        )
