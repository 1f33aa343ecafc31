"""Force and Hessian of phases, cut into two groups of layers: those that no edge joins, and the others.

    f_i = Fs cos phi - Fc sin phi,   Fc with 2 S cos phi and, on the output, what the nudge adds
    H_ii = Fc cos phi + Fs sin phi + (a - 2 S) sin^2 phi,   H_ij = -W_ij cos(phi_i - phi_j)

a is the curvature of the nudge in the read-out, of a cost that is not quadratic a bound; the force is exact.
"""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from eb_core import Dense, Network, UsageError, View
from eb_dynamics_oim.energy import OscillatorEnergy
from eb_dynamics_oim.pairs import LARGEST, Pairs, Wiring
from eb_dynamics_oim.schur import Blocks

Codes = Mapping[str, tuple[Tensor, Tensor]]
"""Layer name -> cosine and sine, (B, units) each."""


def not_dense(network: Network) -> str | None:
    """Which edges keep the Hessian from being written down, or None."""
    bad = [f"{edge.pre}-{edge.post}" for edge in network.edges.values() if type(edge) is not Dense]
    if not bad:
        return None
    return (
        f"its Hessian is written from dense edges, and {', '.join(bad)} is none; oim-heavy-ball works with every edge"
    )


def local(view: View) -> Tensor:
    """Force, diagonal of H, cosine and sine of all units, (B, 4 N): layers side by side; of clamped units 0 and 1."""
    assert isinstance(view.energy, OscillatorEnergy)
    forces, diagonals, cosines, sines = [], [], [], []
    for name in view.layers:
        (cos, sin), (along, across) = view.code(name), view.effective_field(name)
        bend = view.constants.bounds.get(name)
        lift = -2 * view.energy.sync if bend is None else bend[0] - 2 * view.energy.sync
        along = torch.add(along, cos, alpha=2 * view.energy.sync)
        force = torch.addcmul(cos * across, sin, along, value=-1).flatten(1)
        diagonal = (torch.addcmul(cos * along, sin, across) + lift * sin.square()).flatten(1)
        held = view.held(name)
        if held is not None:
            held = held.flatten(1)
            force, diagonal = force.masked_fill(held, 0.0), diagonal.masked_fill(held, 1.0)
        forces.append(force)
        diagonals.append(diagonal)
        cosines.append(cos.flatten(1))
        sines.append(sin.flatten(1))
    return torch.cat([*forces, *diagonals, *cosines, *sines], dim=1)


class Groups:
    """The two groups of layers of a view, and what of the Hessian depends on the weights alone.

    Attributes:
        near: names of the layers that are eliminated, no two of them joined; far: the other free layers.
    """

    def __init__(self, view: View) -> None:
        reason = not_dense(view.network)
        if reason:
            raise UsageError(f"oim-newton cannot run on this network: {reason}", advice="use oim-heavy-ball")
        groups = view.network.colours(view.layers)
        self.width = sum(layer.size for layer in view.layers.values())
        ends = itertools.accumulate(layer.size for layer in view.layers.values())
        self.columns = {
            layer.name: slice(end - layer.size, end) for end, layer in zip(ends, view.layers.values(), strict=True)
        }
        self._shapes = {name: layer.shape for name, layer in view.layers.items()}
        self._sizes = {name: layer.size for name, layer in view.layers.items()}
        self.near = max(groups, key=lambda group: sum(self._sizes[name] for name in group))
        self.far = tuple(name for name in self._sizes if name not in self.near)
        inner = [edge for edge in view.network.edges.values() if edge.pre in self._sizes and edge.post in self._sizes]
        self._weights = {(edge.post, edge.pre): edge.weight.detach() for edge in inner}
        self._weights |= {(edge.pre, edge.post): edge.weight.detach().t() for edge in inner}
        self._pairs: Wiring | None = None
        if len(self.near) == len(self.far) == 1 and not view.constants.clamps:
            weight = self._weights[self.far[0], self.near[0]]
            if weight.shape[1] * weight.shape[0] ** 2 <= LARGEST:
                self._pairs = Wiring.of(weight)

    def cut(self, joined: Tensor) -> dict[str, Tensor]:
        """The layers of what `joined` joins, in their shapes."""
        names = (*self.near, *self.far)
        parts = joined.split([self._sizes[name] for name in names], dim=1)  # type: ignore[no-untyped-call]
        return {name: part.view(-1, *self._shapes[name]) for name, part in zip(names, parts, strict=True)}

    def system(self, view: View, looked: Tensor) -> Blocks | Pairs:
        """f and H at the present phases, from what `local` gives."""
        force, diagonal, cos, sin = looked.chunk(4, dim=1)
        if self._pairs is not None:
            near, far = self.columns[self.near[0]], self.columns[self.far[0]]
            codes = torch.stack([cos, sin])
            parts = force[:, near], diagonal[:, near], force[:, far], diagonal[:, far]
            return Pairs(*parts, codes[..., near], codes[..., far], self._pairs)
        codes_of = {name: (cos[:, at], sin[:, at]) for name, at in self.columns.items()}
        masks = {name: held.flatten(1) for name in view.layers if (held := view.held(name)) is not None}
        return Blocks(
            self._of(force, self.near),
            self._of(diagonal, self.near),
            self._of(force, self.far) if self.far else None,
            self._of(diagonal, self.far) if self.far else None,
            self._couplings(self.near, codes_of, masks) if self.far else None,
            self._couplings(self.far, codes_of, masks) if len(self.far) > 1 else None,
        )

    def _of(self, values: Tensor, names: Sequence[str]) -> Tensor:
        """The columns of these layers."""
        return torch.cat([values[:, self.columns[name]] for name in names], dim=1)

    def _couplings(self, columns: tuple[str, ...], codes: Codes, masks: dict[str, Tensor]) -> Tensor:
        """H between the layers that stay and others, (B, units that stay, units of columns)."""
        lines = [torch.cat([self._coupling(row, column, codes, masks) for column in columns], 2) for row in self.far]
        return torch.cat(lines, dim=1)

    def _coupling(self, row: str, column: str, codes: Codes, masks: dict[str, Tensor]) -> Tensor:
        (cos, sin), (other_cos, other_sin) = codes[row], codes[column]
        weight = self._weights.get((row, column))
        if weight is None:
            nothing: Tensor = cos.new_zeros(len(cos), cos.shape[1], other_cos.shape[1])
            return nothing
        for name, side in ((row, 2), (column, 1)):
            if name in masks:
                weight = torch.where(masks[name].unsqueeze(side), 0.0, weight)
        both: Tensor = cos.unsqueeze(2) * other_cos.unsqueeze(1) + sin.unsqueeze(2) * other_sin.unsqueeze(1)
        return -weight * both
