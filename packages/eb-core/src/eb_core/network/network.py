"""Wiring and parameters: layers, the edges between them, a bias for each layer that has one.

A network knows nothing of physics. It says which layers exist, of what shape, and how the encoded units of
one layer drive another; an `Energy` says what a unit is.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, ValuesView
from functools import lru_cache
from typing import Literal, cast

import attrs
import torch
from torch import Tensor, nn

from eb_core.network.edge import Edge
from eb_core.registry.setup import Diagnostic, Setup

Role = Literal["input", "hidden", "output"]


@attrs.frozen
class Layer:
    """A layer's name, the shape of one sample of it, and its role in the network."""

    name: str
    shape: tuple[int, ...]
    role: Role = "hidden"

    @property
    def size(self) -> int:
        """Number of units of one sample."""
        return math.prod(self.shape)


class Edges(nn.ModuleDict):
    """Edges by name, `pre-post`, in order of definition."""

    def __getitem__(self, name: str) -> Edge:
        edge = super().__getitem__(name)
        assert isinstance(edge, Edge)
        return edge

    def values(self) -> ValuesView[Edge]:
        return cast(ValuesView[Edge], super().values())


class Network(nn.Module):
    """Layers joined by edges; the first layer is the input, the last one the output.

    Args:
        layers: at least two; names are unique. Roles follow from the position.
        edges: wiring; each edge names its `pre` and `post` layer, the same one for a lateral edge, and none ends at
            the input.
        bias_shapes: shape of the bias of each layer, broadcastable to the layer's shape: full on dense layers,
            `(channels, 1, 1)` on convolutional ones. Layers left out have no bias. Default: full shape everywhere.
        bias_gain: biases start as U(+-bias_gain / sqrt(fan-in of the first edge into their layer)).

    Parameters are called `edges.PRE-POST.weight` and `biases.LAYER`. They start at zero: the energy draws
    them (`Energy.init_`), because how weights should start depends on the physics.
    """

    def __init__(
        self,
        layers: Sequence[tuple[str, Sequence[int]]],
        edges: Iterable[Edge],
        *,
        bias_shapes: Mapping[str, Sequence[int]] | None = None,
        bias_gain: float = 0.0,
    ) -> None:
        super().__init__()
        if len(layers) < 2:
            raise ValueError(f"a network needs an input and an output layer, not {len(layers)} layers")
        last = len(layers) - 1
        hidden: list[Role] = ["hidden"] * (last - 1)
        roles: list[Role] = ["input", *hidden, "output"]
        self.layers: dict[str, Layer] = {
            name: Layer(name, tuple(shape), role) for (name, shape), role in zip(layers, roles, strict=True)
        }
        if len(self.layers) != len(layers):
            raise ValueError(f"layer names must be unique: {[name for name, _ in layers]}")
        self.input, self.output = layers[0][0], layers[-1][0]
        self.bias_gain = bias_gain
        self.edges = Edges()
        for edge in edges:
            self._add(edge)
        shapes = {name: layer.shape for name, layer in self.layers.items() if layer.role != "input"}
        chosen = shapes if bias_shapes is None else bias_shapes
        self.biases = nn.ParameterDict({name: nn.Parameter(torch.zeros(*shape)) for name, shape in chosen.items()})
        wires = list(self.edges.values())
        driven = [edge for edge in wires if edge.pre == self.input]
        inner = [edge for edge in wires if edge.pre != self.input]
        self._input_edges = {name: [edge for edge in driven if edge.post == name] for name in shapes}
        self._incoming = {name: [edge for edge in inner if edge.post == name] for name in shapes}
        self._outgoing = {name: [edge for edge in inner if edge.pre == name] for name in shapes}
        curved = [edge for edge in wires if type(edge).curvature is not Edge.curvature]
        self._lateral = {name: [edge for edge in self._outgoing[name] if edge.is_lateral] for name in shapes}
        self._constrained = [edge for edge in wires if edge.bounds or type(edge).project_ is not Edge.project_]
        self._curved = {name: [edge for edge in curved if name in (edge.pre, edge.post)] for name in self.layers}
        self._parameters_by_name = dict(self.named_parameters())

    def _add(self, edge: Edge) -> None:
        name = f"{edge.pre}-{edge.post}"
        for end in (edge.pre, edge.post):
            if end not in self.layers:
                raise ValueError(f"edge {name}: there is no layer '{end}'")
        if edge.post == self.input:
            raise ValueError(f"edge {name}: the input is fixed, so an edge never ends there")
        if edge.is_lateral and not edge.linear:
            raise ValueError(f"edge {name}: a lateral edge must be linear")
        if name in self.edges:
            raise ValueError(f"edge {name} exists twice: one edge joins two layers, and it may do several things")
        _check_shapes(name, edge, self.layers[edge.pre].shape, self.layers[edge.post].shape)
        self.edges[name] = edge

    def input_edges(self, layer: str) -> list[Edge]:
        """Edges from the input to a layer."""
        return self._input_edges[layer]

    def incoming(self, layer: str) -> list[Edge]:
        """Edges to a layer from the other layers that settle."""
        return self._incoming[layer]

    def outgoing(self, layer: str) -> list[Edge]:
        """Edges from a layer to others that settle; a lateral edge is among the incoming ones, too."""
        return self._outgoing[layer]

    def curved(self, layer: str) -> list[Edge]:
        """Edges with a self-term at a layer, the input included."""
        return self._curved[layer]

    def lateral(self, layer: str) -> list[Edge]:
        """Edges that join units of this layer."""
        return self._lateral[layer]

    def curvature(self, layer: str) -> Tensor | None:
        """a_l: sum of the self-terms of all edges at a layer, broadcastable to its shape; None where there is none."""
        total: Tensor | None = None
        for edge in self._curved[layer]:
            for end, own in zip((edge.pre, edge.post), edge.curvature() or (), strict=False):
                if end == layer:
                    total = own if total is None else total + own
        return total

    @torch.no_grad()
    def largest_self_term(self) -> float:
        """The largest a of all units that settle, 0 where no edge has a self-term."""
        bends = [bend for layer in self.unit_layers if (bend := self.curvature(layer.name)) is not None]
        return max((float(bend.max()) for bend in bends), default=0.0)

    def project_(self) -> None:
        """Put all parameters of edges to the nearest values that the edges allow; called after every update."""
        for edge in self._constrained:
            edge.project_()

    @torch.no_grad()
    def outside(self) -> list[str]:
        """Names of the parameters that `project_` would change; they are left as they are."""
        kept = {name: value.clone() for name, value in self._parameters_by_name.items()}
        self.project_()
        changed = [name for name, value in self._parameters_by_name.items() if not torch.equal(value, kept[name])]
        for name in changed:
            self._parameters_by_name[name].copy_(kept[name])
        return changed

    @property
    def version(self) -> int:
        """A number that grows with every change of a parameter in place."""
        return sum(parameter._version for parameter in self._parameters_by_name.values())

    @property
    def linear(self) -> bool:
        """Whether every edge between layers that settle is linear, so that couplings do not depend on a state."""
        return all(edge.linear for edge in self.edges.values() if edge.pre != self.input)

    @property
    def unit_layers(self) -> list[Layer]:
        """Every layer but the input, in order: the layers whose states settle."""
        return [layer for layer in self.layers.values() if layer.role != "input"]

    def bias(self, layer: str) -> Tensor | None:
        """Bias of a layer, or None."""
        return self._parameters_by_name.get(f"biases.{layer}")

    def parameter_names(self) -> list[str]:
        """Names of all trainable parameters, in order."""
        return [name for name, parameter in self._parameters_by_name.items() if parameter.requires_grad]

    def colours(self, free: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Greedy colouring of the free layers: no edge joins two different layers of one colour.

        Layers are visited in order, each takes the first colour that none of its neighbours has; on a chain
        this gives the layers 1, 3, … and then 2, 4, …  Skip edges change the colouring, never its correctness.
        """
        pairs = tuple((edge.pre, edge.post) for edge in self.edges.values())
        return _greedy_colouring(tuple(self.layers), pairs, frozenset(free))


@torch.no_grad()
def _check_shapes(name: str, edge: Edge, pre: tuple[int, ...], post: tuple[int, ...]) -> None:
    """Refuse an edge that does not take a unit of layer `pre` to `post` and back."""
    like = next(edge.parameters(), torch.zeros(()))
    try:
        drive, context = edge.drive_and_context(like.new_zeros(1, *pre))
        back = edge.pullback(like.new_zeros(1, *post), context=context)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"edge {name} does not fit layers of shape {pre} and {post}: {error}") from None
    if drive.shape[1:] != post or back.shape[1:] != pre:
        found = f"{tuple(drive.shape[1:])}, and {tuple(back.shape[1:])} back"
        raise ValueError(f"edge {name} does not fit layers of shape {pre} and {post}: it gives {found}")


@lru_cache(maxsize=256)
def _greedy_colouring(
    layers: tuple[str, ...], pairs: tuple[tuple[str, str], ...], free: frozenset[str]
) -> tuple[tuple[str, ...], ...]:
    colour: dict[str, int] = {}
    for name in layers:
        if name in free:
            neighbours = {a if b == name else b for a, b in pairs if name in (a, b)}
            taken = {colour[other] for other in neighbours if other in colour}
            colour[name] = next(index for index in range(len(free)) if index not in taken)
    count = max(colour.values(), default=-1) + 1
    return tuple(tuple(name for name, one in colour.items() if one == index) for index in range(count))


class Model(ABC):
    """A recipe for networks: a frozen value whose options are widths, depths, kernels."""

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], outputs: int) -> Network:
        """A network for samples of `input_shape` with `outputs` output units; its parameters are zero."""

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """What this model has to say of what it is to work with; see `Setup`."""
        return ()
