"""Force and Hessian of phases, cut into blocks: layers that no edge joins, and the others.

    f_i = Fs cos phi - (Fc + 2 S' cos phi) sin phi
    H_ii = Fc cos phi + Fs sin phi + 2 S' cos 2 phi,   H_ij = -W_ij cos(phi_i - phi_j)

A cost that is not quadratic enters by its slope and its curvature bound, as in `Nudge.quadratic`: the force is exact.
"""

import torch
from torch import Tensor

from eb_core import Dense, Network, Problem, UsageError, Workspace
from eb_dynamics_oim.energy import OscillatorEnergy
from eb_dynamics_oim.schur import Blocks


def not_dense(network: Network) -> str | None:
    """Which edges keep the Hessian from being written down, or None."""
    bad = [f"{edge.pre}-{edge.post}" for edge in network.wires if type(edge) is not Dense]
    if not bad:
        return None
    return (
        f"its Hessian is written from dense edges, and {', '.join(bad)} is none; oim-heavy-ball works with every edge"
    )


class Hessian:
    """Force and Hessian of one workspace; which layers are eliminated is decided once.

    Attributes:
        near: names of the layers that are eliminated, no two of them joined; far: the other free layers.
    """

    def __init__(self, work: Workspace) -> None:
        problem = work.problem
        reason = not_dense(problem.network)
        if reason:
            raise UsageError(f"oim-newton cannot run on this network: {reason}", advice="use oim-heavy-ball")
        self._work = work
        groups = problem.network.colours(work.layers)
        sizes = {name: layer.size for name, layer in work.layers.items()}
        self.near = max(groups, key=lambda group: sum(sizes[name] for name in group))
        self.far = tuple(name for name in sizes if name not in self.near)
        self._sizes = sizes
        inner = [edge for edge in problem.network.wires if edge.pre in sizes and edge.post in sizes]
        self._edges = {(edge.post, edge.pre): edge for edge in inner}
        self._held = {name: mask for name in sizes if (mask := _held(problem, name)) is not None}

    def blocks(self) -> tuple[Blocks, Tensor]:
        """Force and Hessian, eliminated layers apart from the others; and the residual max|f|, (B,)."""
        work, energy = self._work, self._work.energy
        assert isinstance(energy, OscillatorEnergy)
        forces, curvatures, codes = {}, {}, {}
        output, nudge = work.problem.network.output, work.problem.nudge
        for name in self._sizes:
            s = work.units[name]
            field, sync = work.field(name), energy.sync
            along, across = field[0], field[1]
            pull: Tensor | float = sync
            if nudge is not None and name == output:
                a, b = nudge.quadratic(s.cos())
                assert a is not None
                along, pull = along + b, sync - a / 2
            cos, sin = s.cos(), s.sin()
            force = cos * across - sin * (along + 2 * pull * cos)
            curvature = along * cos + across * sin + 2 * pull * (2 * s).cos()
            codes[name] = (cos.flatten(1), sin.flatten(1))
            forces[name], curvatures[name] = force.flatten(1), curvature.flatten(1)
        for name, held in self._held.items():
            forces[name] = torch.where(held, 0.0, forces[name])
            curvatures[name] = torch.where(held, 1.0, curvatures[name])
        blocks = Blocks(
            torch.cat([forces[name] for name in self.near], dim=1),
            torch.cat([curvatures[name] for name in self.near], dim=1),
            torch.cat([forces[name] for name in self.far], dim=1) if self.far else None,
            torch.cat([curvatures[name] for name in self.far], dim=1) if self.far else None,
            self._couplings(self.far, self.near, codes),
            self._couplings(self.far, self.far, codes) if len(self.far) > 1 else None,
        )
        residual = torch.cat(list(forces.values()), dim=1).abs().amax(1)
        return blocks, residual

    def _couplings(
        self, rows: tuple[str, ...], columns: tuple[str, ...], codes: dict[str, tuple[Tensor, Tensor]]
    ) -> Tensor | None:
        """H between two groups of layers, (B, units of rows, units of columns)."""
        if not rows or not columns:
            return None
        lines = [torch.cat([self._coupling(row, column, codes) for column in columns], dim=2) for row in rows]
        return torch.cat(lines, dim=1)

    def _coupling(self, row: str, column: str, codes: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
        cos, sin = codes[row]
        cos_other, sin_other = codes[column]
        weight: Tensor
        if (row, column) in self._edges:
            weight = self._edges[row, column].weight
        elif (column, row) in self._edges:
            weight = self._edges[column, row].weight.t()
        else:
            return cos.new_zeros(len(cos), cos.shape[1], cos_other.shape[1])
        for name, side in ((row, 1), (column, 0)):
            if name in self._held:
                weight = torch.where(self._held[name].unsqueeze(1 + side), 0.0, weight)
        both = cos.unsqueeze(2) * cos_other.unsqueeze(1) + sin.unsqueeze(2) * sin_other.unsqueeze(1)
        return -weight * both

    def move(self, step: Tensor) -> None:
        """Add a step, eliminated layers first, to the phases."""
        names = [*self.near, *self.far]
        for name, part in zip(names, step.split([self._sizes[name] for name in names], dim=1), strict=True):  # type: ignore[no-untyped-call]
            s = self._work.units[name]
            self._work.write(name, s + part.view_as(s))


def _held(problem: Problem, name: str) -> Tensor | None:
    """Which units of a free layer are clamped, (B, size) bool, or None."""
    if name not in problem.clamps:
        return None
    shape = (problem.batch, *problem.network.layers[name].shape)
    return (~problem.movable(name, problem.x.new_zeros(shape))).flatten(1)
