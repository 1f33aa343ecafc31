"""The same steps in as few kernels as they need: dense edges, phases, squared error, no autograd.

    code = [cos phi; sin phi]   (2B, N): both channels stacked, all layers side by side in the columns
    field = constant + code W   one product per edge and direction, into columns of one buffer
    force = cos phi * Fs - sin phi * (Fc + 2 S' cos phi),   S' = S - beta/2 on the output

The constant holds bias, input drive and beta t. Everything is written into buffers that live as long as the phase.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core import Dense, Workspace
from eb_core.physics.squared_error import SquaredError
from eb_core.settling.workspace import records_or_rounds
from eb_dynamics_oim.energy import OscillatorEnergy


class FusedPhases:
    """Phase steps of one workspace; `of` says whether they can be had.

    Attributes:
        phase: (B, N), all free layers side by side; columns: where each of them is.
        cos, sin, along, across: codes and fields of both channels, (B, N), as the last `push` left them.
        pulls: (columns, 2 S') where S' is not 0.
    """

    def __init__(self, work: Workspace) -> None:
        self._work = work
        network, nudge = work.problem.network, work.problem.nudge
        sizes = {name: layer.size for name, layer in work.layers.items()}
        batch, width = work.problem.batch, sum(sizes.values())
        starts = {name: sum(list(sizes.values())[:index]) for index, name in enumerate(sizes)}
        self.columns = {name: slice(starts[name], starts[name] + sizes[name]) for name in sizes}
        self.phase = torch.cat([work.units[name] for name in sizes], dim=1)
        self._code = self.phase.new_empty(2 * batch, width)
        self.cos, self.sin = self._code[:batch], self._code[batch:]
        self._field, self._force = torch.empty_like(self._code), torch.empty_like(self.phase)
        self.along, self.across = self._field[:batch], self._field[batch:]
        constants = {name: work.constant_field(name).clone() for name in sizes}
        sync: float = work.energy.sync  # type: ignore[attr-defined]
        self.pulls: list[tuple[slice, Tensor]] = [(slice(0, width), self.phase.new_full((), 2 * sync))] if sync else []
        if nudge is not None and network.output in sizes:
            a, b = nudge.quadratic(work.units[network.output])
            constants[network.output][:batch] += b
            assert a is not None
            self.pulls.append((self.columns[network.output], -a))
        self._products = self._wires(constants)
        self._constant = torch.cat([constants[name] for name in sizes], dim=1)

    def _wires(self, constants: dict[str, Tensor]) -> Sequence[tuple[Tensor, Tensor, Tensor]]:
        """(code of the near end, matrix, field of the far end) for each direction; clamped ends join the constant."""
        work = self._work
        products = []
        for edge in work.problem.network.wires:
            if edge.pre == work.problem.network.input:
                continue
            weight = edge.weight.detach()
            for near, matrix, far in ((edge.pre, weight.t(), edge.post), (edge.post, weight, edge.pre)):
                if far not in self.columns:
                    continue
                if near in self.columns:
                    columns, ends = self.columns[near], self.columns[far]
                    products.append((self._code[:, columns], matrix, self._field[:, ends]))
                else:
                    held = work.energy.encode(work.problem.network.layers[near], work.units[near])
                    constants[far] += held.flatten(0, 1) @ matrix
        return products

    @staticmethod
    def of(work: Workspace) -> "FusedPhases | None":
        """The fused steps, or None where the plain ones must serve: other energies, edges, costs, clamps, autograd."""
        problem = work.problem
        plain = (
            records_or_rounds(work)
            or type(work.energy) is not OscillatorEnergy
            or (problem.nudge is not None and type(problem.nudge.cost) is not SquaredError)
            or any(clamp.mask is not None for clamp in problem.clamps.values())
            or any(len(layer.shape) != 1 for layer in problem.network.unit_layers)
            or any(type(edge) is not Dense for edge in problem.network.wires)
            or not work.layers
        )
        return None if plain else FusedPhases(work)

    def push(self) -> Tensor:
        """-dF/dphi of all units, (B, N), in a buffer."""
        torch.cos(self.phase, out=self.cos)
        torch.sin(self.phase, out=self.sin)
        self._field.copy_(self._constant)
        for code, matrix, field in self._products:
            field.addmm_(code, matrix)
        for columns, pull in self.pulls:
            self.along[:, columns].addcmul_(self.cos[:, columns], pull)
        torch.mul(self.cos, self.across, out=self._force)
        return self._force.addcmul_(self.sin, self.along, value=-1)

    def curvature(self) -> Tensor:
        """Diagonal of d2F/dphi2 at the last `push`: Fc cos phi + Fs sin phi + 2 S' cos 2 phi, (B, N)."""
        found = torch.addcmul(self.cos * self.along, self.sin, self.across)
        for columns, pull in self.pulls:
            found[:, columns] -= pull * self.sin[:, columns].square()
        return found

    def residual(self) -> Tensor:
        """max |dF/dphi| of each sample, (B,)."""
        return self.push().abs().amax(1)

    def flow(self, count: int, eps: float, kick: float) -> None:
        """phi <- phi + eps f + kick N(0, 1), so many times."""
        work, kept = self._work, self.kept(self.phase)
        for _ in range(count):
            self.phase.add_(self.push(), alpha=eps)
            if kick:
                for name, columns in self.columns.items():
                    self.phase[:, columns].add_(work.normal(name), alpha=kick)
        self.restore(self.phase, kept)
        self.write()

    def roll(self, count: int, eps: float, mu: float) -> None:
        """v <- mu v [f.v >= 0 in the sample] + eps f, phi <- phi + v, so many times."""
        work = self._work
        velocity = torch.cat(
            [work.memory.get(f"velocity.{name}", torch.zeros_like(work.units[name])) for name in work.layers], dim=1
        )
        kept, kept_velocity = self.kept(self.phase), self.kept(velocity)
        product = torch.empty_like(velocity)
        for _ in range(count):
            force = self.push()
            forward = torch.mul(force, velocity, out=product).sum(1, keepdim=True)
            velocity.mul_(forward.ge_(0).mul_(mu)).add_(force, alpha=eps)
            self.phase.add_(velocity)
        self.restore(self.phase, kept)
        self.restore(velocity, kept_velocity)
        for name, columns in self.columns.items():
            work.remember(f"velocity.{name}", velocity[:, columns])
        self.write()

    def kept(self, value: Tensor) -> Tensor | None:
        """A copy, if some samples are frozen."""
        return None if self._work.active is None else value.clone()

    def restore(self, value: Tensor, kept: Tensor | None) -> None:
        """Give frozen samples what they had."""
        if kept is not None and self._work.active is not None:
            value.copy_(torch.where(self._work.active.unsqueeze(1), value, kept))

    def write(self) -> None:
        """Hand the phases to the workspace."""
        for name, columns in self.columns.items():
            self._work.write(name, self.phase[:, columns].clone())
