"""The simulator: settling on this computer, by the relaxer itself.

With `precision = "bfloat16"` a phase settles in two stages. First products and convolutions take bfloat16 copies of
states and weights, which processors with matrix units multiply several times faster; then the last `polish` iterations
are in full precision. A settling network forgets where it came from, and so forgets the rounding. Weights, input drives
and gradients are never rounded, and energies and residuals are measured in full precision.
"""

from collections.abc import Iterable
from typing import Any, Literal

import attrs
import torch

from eb_core.learning.backend import Backend
from eb_core.learning.session import Session
from eb_core.network.network import Network
from eb_core.physics.energy import Energy
from eb_core.registry import configurable, option
from eb_core.registry.setup import Diagnostic, Setup, refuse
from eb_core.settling.buffers import Buffers
from eb_core.settling.iterative import IterativeRelaxer
from eb_core.settling.problem import Problem
from eb_core.settling.relaxer import Relaxation, Relaxer
from eb_core.settling.state import State

Stages = tuple[IterativeRelaxer | None, IterativeRelaxer | None]


class SimulatorSession(Session):
    """Settles with `relaxer.relax`; weights need no programming, they are read where they lie."""

    supports_stacked_phases = True
    simulates = True

    def __init__(self, network: Network, energy: Energy, relaxer: Relaxer) -> None:
        super().__init__(network, energy, relaxer)
        self.buffers = Buffers()

    def settle(
        self, problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        return self._relax(self.relaxer, problem, start, generator)

    def _relax(
        self, relaxer: Relaxer, problem: Problem, start: State | None, generator: torch.Generator | None
    ) -> Relaxation:
        if isinstance(relaxer, IterativeRelaxer):
            return relaxer.relax(problem, start, generator=generator, buffers=self.buffers)
        return relaxer.relax(problem, start, generator=generator)

    def close(self) -> None:
        super().close()
        self.buffers = Buffers()


class MixedSession(SimulatorSession):
    """Settles the first iterations of each phase in bfloat16, the last `polish` ones as they are."""

    def __init__(self, network: Network, energy: Energy, relaxer: IterativeRelaxer, polish: int) -> None:
        super().__init__(network, energy, relaxer)
        self._free, self._perturbed = self.stages(relaxer, polish)

    @staticmethod
    def stages(relaxer: IterativeRelaxer, polish: int) -> tuple["Stages", "Stages"]:
        """The rough and the fine part of free and of perturbed phases; None for a part without iterations.

        Raises:
            ValueError: the options of the relaxer do not allow such a budget.
        """
        found: list[Stages] = []
        for name, budget in (("steps", relaxer.steps), ("nudged_steps", relaxer.nudged_steps)):
            if budget <= polish:
                found.append((None, relaxer))
                continue
            fine = _with(relaxer, **{name: polish}) if polish else None
            found.append((_with(relaxer, **{name: budget - polish}), fine))
        return found[0], found[1]

    def settle(
        self, problem: Problem, start: State | None = None, *, generator: torch.Generator | None = None
    ) -> Relaxation:
        rough, fine = self._free if problem.phase == "free" else self._perturbed
        if rough is None:
            return self._relax(self.relaxer, problem, start, generator)
        with torch.no_grad():
            for layer in problem.network.unit_layers:
                problem.constant_field(layer)
        with torch.autocast(problem.x.device.type, dtype=torch.bfloat16):
            found = rough.relax(problem, start, generator=generator)
        dtype = problem.x.dtype
        state = found.state.map(lambda value: value.to(dtype) if value.is_floating_point() else value)
        if fine is None:
            walls = {layer.name: problem.energy.domain(layer) for layer in problem.network.unit_layers}
            units = {name: problem.apply_clamp(name, walls[name].project(s)) for name, s in state.units.items()}
            return attrs.evolve(found, state=State(units, state.memory))  # bfloat16 rounds walls, too
        last = self._relax(fine, problem, state, generator)
        both = [part.steps for part in (found, last) if part.steps is not None]
        return attrs.evolve(last, steps=torch.stack(both).sum(0))


@configurable
class Simulator(Backend):
    """Runs every relaxer and energy on the CPU or GPU of this computer."""

    precision: Literal["full", "bfloat16"] = option(
        default="full",
        help="of products and convolutions while a phase settles: that of the network, or bfloat16 but for the last"
        " iterations. It pays for convolutions on processors with bfloat16 matrix units; elsewhere it may be slower",
    )
    polish: int = option(
        default=3,
        help="with bfloat16: so many iterations in full precision end each phase",
        unit="iterations",
        ge=0,
        only_with={"precision": ("bfloat16",)},
    )

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        relaxer = setup.relaxer
        if self.precision == "full" or relaxer is None:
            return
        if not isinstance(relaxer, IterativeRelaxer) or not relaxer.properties().resumable:
            yield refuse("precision = bfloat16 divides a phase in two, and this relaxer cannot resume a phase")
            return
        try:
            MixedSession.stages(relaxer, self.polish)
        except ValueError as error:
            yield refuse(f"with polish = {self.polish} a part of its budget does not suit it: {error}")
        if setup.dtype not in (None, torch.float32):
            name = str(setup.dtype).removeprefix("torch.")
            yield refuse(
                f"precision = bfloat16 rounds {name}, which was asked for to avoid that: use float32, or"
                " precision = full"
            )

    def open(
        self, network: Network, energy: Energy, relaxer: Relaxer, *, device: torch.device, dtype: torch.dtype
    ) -> Session:
        if self.precision == "full":
            return SimulatorSession(network, energy, relaxer)
        assert isinstance(relaxer, IterativeRelaxer), "check has refused others"
        return MixedSession(network, energy, relaxer, self.polish)


def _with(relaxer: IterativeRelaxer, **options: Any) -> IterativeRelaxer:
    """The relaxer with other options; `configurable` has made an attrs class of it."""
    changed: IterativeRelaxer = attrs.evolve(relaxer, **options)  # type: ignore[misc]
    return changed
