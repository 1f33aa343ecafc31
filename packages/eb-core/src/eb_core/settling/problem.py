"""The thing to be minimised: network x energy x fixed layers x nudge.

    E(s) = sum_l self(s_l) - sum_l <b_l, u_l^0> - sum_e sum_c <drive_e(u_pre^c), u_post^c> + 1/2 sum_l <a_l, |u_l|^2>
    F(s) = E(s) + beta * C(u_out^0, y)

with |u|^2 the sum over channels and a_l the self-terms of the edges at a layer, the input included. The phases of one
batch are derived from its free problem, and share the drive of the input.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, overload

import attrs
import torch
from torch import Tensor

from eb_core.network.network import Layer, Network
from eb_core.physics.cost import Cost
from eb_core.physics.energy import Energy
from eb_core.registry import UsageError
from eb_core.settling.given import check_clamp, check_strength, check_tensor
from eb_core.settling.nudge import Clamp, Nudge
from eb_core.settling.state import State, join

Phase = Literal["free", "nudged", "clamped"]


@attrs.frozen(eq=False)
class Problem:
    """What one phase of one batch settles to. Make it with `Problem.free` and derive the other phases from it.

    Args:
        x: input, (B, *input shape), in the dtype of the network.
        clamps: layer name -> `Clamp`; a layer clamped as a whole does not settle.
        phase: which budget a relaxer uses: `free`, or `nudged` and `clamped`.
        scale: strength of the perturbation that this phase is contrasted at, (B,). What a contrast resolves shrinks
            with it, and so does the tolerance; None where nothing is contrasted.
    """

    network: Network
    energy: Energy
    x: Tensor
    clamps: Mapping[str, Clamp] = attrs.field(factory=dict)
    nudge: Nudge | None = None
    phase: Phase = "free"
    scale: Tensor | None = None
    _drives: dict[str, tuple[int, Tensor]] = attrs.field(factory=dict, alias="drives")

    @classmethod
    def free(cls, network: Network, energy: Energy, x: Tensor) -> "Problem":
        """The free phase: minimise E with the input fixed at x.

        Raises:
            UsageError: x holds no sample, does not have the input's shape, is in another dtype or on another device
                than the network, or not finite (looked at on the CPU only).
        """
        shape = network.layers[network.input].shape
        if not isinstance(x, Tensor) or tuple(x.shape[1:]) != shape or not len(x):
            form = f"of shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"of type {type(x).__name__}"
            raise UsageError(f"input {form} for a network of inputs {shape}", advice=f"give (B, {shape}), B > 0")
        check_tensor("input", x, (len(x), *shape), next(network.parameters()))
        return cls(network, energy, x)

    @classmethod
    def of_fields(cls, network: Network, energy: Energy, fields: Mapping[str, Tensor]) -> "Problem":
        """The free phase of units that get their constant fields from outside, (B, *shape) by layer, as on a chip.

        The network has neither biases nor an input that drives anything; it is settled without autograd.

        Raises:
            UsageError: the network has biases.
        """
        if len(network.biases):
            raise UsageError("fields come in place of biases, and the network has some", advice="leave them out")
        first = next(iter(fields.values()))
        x = first.new_zeros(len(first), *network.layers[network.input].shape)
        versions = {name: sum(edge.version for edge in network.input_edges(name)) for name in fields}
        return cls(network, energy, x, drives={name: (versions[name], field) for name, field in fields.items()})

    def nudged(
        self, cost: Cost, target: Tensor, beta: float | Tensor, *, scale: float | Tensor | None = None
    ) -> "Problem":
        """The same batch with beta * C added.

        Args:
            cost: C, a function of the read-out.
            target: its targets, (B, outputs), from `Cost.encode`.
            beta: strength, one for all samples or (B,); what is derived holds one for each.
            scale: see `Problem`; default: |beta|, for beta = 0 nothing.

        Raises:
            UsageError: the target is no finite (B, outputs), beta neither a finite number nor (B,), or so negative that
                F has no minimum (tensors are looked at on the CPU only).
        """
        output = self.network.layers[self.network.output]
        check_tensor("target", target, (self.batch, *output.shape), self.x)
        check_strength(beta, self.batch, self.x)
        nudge = Nudge(cost, target, self._per_sample(beta))
        if not isinstance(beta, Tensor) or beta.device.type == "cpu":
            self._check_bounded(nudge, float(beta.min()) if isinstance(beta, Tensor) else beta)
        if scale is None:
            scale = beta.abs() if isinstance(beta, Tensor) else abs(beta) or None
        drives = self._drives
        return Problem(
            self.network, self.energy, self.x, self.clamps, nudge, "nudged", self._per_sample(scale), drives=drives
        )

    @overload
    def _per_sample(self, strength: None) -> None: ...
    @overload
    def _per_sample(self, strength: float | Tensor) -> Tensor: ...
    def _per_sample(self, strength: float | Tensor | None) -> Tensor | None:
        """A strength for each sample, (B,)."""
        return self.x.new_full((self.batch,), strength) if isinstance(strength, float | int) else strength

    def _check_bounded(self, nudge: Nudge, beta: float) -> None:
        """Refuse a beta for which F has no minimum: the curvature of the output must stay positive."""
        bend = nudge.cost.quadratic(nudge.target)
        if bend is None or beta >= 0:
            return
        own = output_curvature(self.network, self.energy)
        if own + beta * bend[0] <= 0:
            raise UsageError(
                f"beta = {beta:g} leaves the output curvature {own + beta * bend[0]:g}: F has no minimum",
                advice=f"keep beta above {-own / bend[0]:g}",
            )

    def clamped(
        self,
        values: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        phase: Phase = "clamped",
        scale: float | None = None,
    ) -> "Problem":
        """The same batch with layers held at `values`, wholly or where `masks` is true; `scale`: see `Problem`.

        Raises:
            UsageError: no such layer, or values and masks that do not fit it.
        """
        masks = masks or {}
        shapes = {layer.name: (self.batch, *layer.shape) for layer in self.network.unit_layers}
        for layer in (*values, *masks):
            if layer not in shapes:
                raise UsageError(f"there is no layer '{layer}' to clamp", advice="clamp a hidden or the output layer")
            if layer not in values:
                raise UsageError(f"layer '{layer}' has a mask and no values", advice="give the values to hold it at")
            check_clamp(layer, values[layer], masks.get(layer), shapes[layer], self.x)
        clamps = {layer: Clamp(value, masks.get(layer)) for layer, value in values.items()}
        return attrs.evolve(self, clamps={**self.clamps, **clamps}, phase=phase, scale=self._per_sample(scale))

    def select(self, rows: Tensor) -> "Problem":
        """The problem of the samples at `rows`; their input drive is not computed again."""
        return attrs.evolve(
            self,
            x=self.x[rows],
            clamps={layer: clamp.select(rows) for layer, clamp in self.clamps.items()},
            nudge=self.nudge.select(rows) if self.nudge else None,
            scale=None if self.scale is None else self.scale[rows],
            drives={layer: (version, drive[rows]) for layer, (version, drive) in self._drives.items()},
        )

    @staticmethod
    @torch.no_grad()
    def stack(problems: Sequence["Problem"]) -> "Problem":
        """Several phases of one batch as one batch: sample after sample of the first, then of the second, …

        All must have been derived from the same free problem in the same way (all nudged, or the same layers clamped),
        to be contrasted at scales of the same kind.
        """
        first = problems[0]
        for layer in first.network.unit_layers:
            first.constant_field(layer)
        drives = {layer: (version, join([drive] * len(problems))) for layer, (version, drive) in first._drives.items()}
        return attrs.evolve(Problem.join(problems), drives=drives)

    @staticmethod
    def join(problems: Sequence["Problem"]) -> "Problem":
        """Phases of several batches as one batch; all must have been derived in the same way."""
        first = problems[0]
        return attrs.evolve(
            first,
            x=torch.cat([problem.x for problem in problems]),
            clamps={layer: Clamp.stack([problem.clamps[layer] for problem in problems]) for layer in first.clamps},
            nudge=Nudge.stack([problem.nudge for problem in problems if problem.nudge]) if first.nudge else None,
            scale=None if first.scale is None else torch.cat([one.scale for one in problems if one.scale is not None]),
            drives={},
        )

    @property
    def batch(self) -> int:
        """Number of samples."""
        return len(self.x)

    @property
    def free_layers(self) -> list[Layer]:
        """Layers with units that settle, in order."""
        return [
            layer
            for layer in self.network.unit_layers
            if layer.name not in self.clamps or self.clamps[layer.name].mask is not None
        ]

    def initial_state(self) -> State:
        """The energy's reference state, with the clamped units at their values; samples may share memory."""
        units = {
            layer.name: self.energy.initial_state(layer, 1, self.x).expand(self.batch, *layer.shape)
            for layer in self.network.unit_layers
        }
        return State({name: self.apply_clamp(name, value) for name, value in units.items()})

    def apply_clamp(self, layer: str, s: Tensor) -> Tensor:
        """`s` with the clamped units of that layer replaced by their values."""
        return self.clamps[layer].apply(s) if layer in self.clamps else s

    def movable(self, layer: str, s: Tensor) -> Tensor:
        """Which units of a layer are not clamped, bool of the shape of its states s."""
        clamp, everyone = self.clamps.get(layer), torch.ones_like(s, dtype=torch.bool)
        if clamp is None:
            return everyone
        return torch.zeros_like(everyone) if clamp.mask is None else everyone & ~clamp.mask

    def constant_field(self, layer: Layer) -> Tensor:
        """b_l + what the input drives into the layer: (B, *shape), the same in all phases of a batch.

        Computed once per batch, unless autograd is recording (then it must carry a graph of its own).
        """
        edges = self.network.input_edges(layer.name)
        bias = self.network.bias(layer.name)
        version = sum(edge.version for edge in edges) + (0 if bias is None else bias._version)
        remembered = self._drives.get(layer.name)
        if remembered and remembered[0] == version and not torch.is_grad_enabled():
            return remembered[1]
        total = self.x.new_zeros(()) if bias is None else bias
        total = total.expand(self.batch, *layer.shape)
        for edge in edges:
            total = edge.drive(self.x, total)
        if not torch.is_grad_enabled():
            self._drives[layer.name] = (version, total)
        return total

    def input_energy(self) -> Tensor:
        """Self-terms of edges at the input, 1/2 <a, x^2> of each sample, (B,): the same in every state."""
        bend = self.network.curvature(self.network.input)
        if bend is None:
            return self.x.new_zeros(self.batch)
        return 0.5 * (bend * self.x.square()).flatten(1).sum(1)

    def total_energy(self, state: State) -> Tensor:
        """E of each sample, (B,), differentiable in the parameters and the state."""
        layers, network = self.network.unit_layers, self.network
        units = {name: self.apply_clamp(name, value) for name, value in state.units.items()}
        codes = {layer.name: self.energy.encode(layer, units[layer.name]) for layer in layers}
        total = self.input_energy()
        for layer in layers:
            code, bend = codes[layer.name], self.network.curvature(layer.name)
            alone = self.energy.self_energy(layer, units[layer.name]) - self.constant_field(layer) * code[0]
            if bend is not None:
                alone = alone + 0.5 * bend * code.square().sum(0)
            total = total + alone.flatten(1).sum(1)
        for edge in network.edges.values():
            if edge.pre != network.input:
                drive = edge.drive(codes[edge.pre].flatten(0, 1)).view(codes[edge.post].shape)
                total = total - (drive * codes[edge.post]).transpose(0, 1).flatten(1).sum(1)
        return total

    def objective(self, state: State) -> Tensor:
        """F = E + beta * C of each sample, (B,), differentiable."""
        energy = self.total_energy(state)
        if self.nudge is None:
            return energy
        return energy + self.nudge.beta * self.nudge.cost.value(self.readout(state), self.nudge.target)

    def readout(self, state: State) -> Tensor:
        """What the cost sees: channel 0 of the output layer, (B, outputs)."""
        output = self.network.layers[self.network.output]
        return self.energy.encode(output, self.apply_clamp(output.name, state.units[output.name]))[0]


def output_curvature(network: Network, energy: Energy) -> float:
    """Smallest curvature of an output unit, its own and that of edges at their present weights.

    F has no minimum where this plus beta times the curvature of the cost is not positive. Where it is, F has one if
    hidden units live in boxes; units without walls may still run away together.
    """
    self_term = network.curvature(network.output)
    return energy.output_curvature + (0.0 if self_term is None else float(self_term.detach().min()))
