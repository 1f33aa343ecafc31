"""The couplings of a chip as a network: layers and couplings of the user's, and no input, no biases, no edges of his.

    F(s) = sum_i self(s_i) - sum_(i, j) J_ij u_i u_j - sum_i h_i u_i + 1/2 sum_i a_i u_i^2

h comes with every drive, see `Problem.of_fields`; a of edges with a self-term hangs on edges from a silent input.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eb_core import Dense, Edge, Lateral, Layer, Network
from eb_core.device.contract import Array, Couplings


class TwoWay(Dense):
    """drive(u) = W u, pullback(v) = V' v with feedback couplings V of their own: no energy has such forces."""

    back: Tensor

    def __init__(self, pre: str, post: str, pre_shape: Sequence[int], post_shape: Sequence[int]) -> None:
        super().__init__(pre, post, pre_shape, post_shape)
        self.register_buffer("back", torch.zeros_like(self.weight))

    def pullback(self, u_post: Tensor, plus: Tensor | None = None, context: Any = None) -> Tensor:
        sent = (u_post.flatten(1) @ self.back).view(-1, *self.pre_shape)
        return sent if plus is None else plus + sent


class Anchor(Edge):
    """No drive; 1/2 <a, u^2> on a layer, with a programmed from outside."""

    own: Tensor

    def __init__(self, pre: str, layer: Layer) -> None:
        super().__init__(pre, layer.name, 1)
        self.register_buffer("own", torch.zeros(layer.shape))
        self.register_buffer("other", torch.zeros(1))

    def drive(self, u_pre: Tensor, plus: Tensor | None = None) -> Tensor:
        return u_pre.new_zeros(len(u_pre), *self.own.shape) if plus is None else plus

    def pullback(self, u_post: Tensor, plus: Tensor | None = None, context: Any = None) -> Tensor:
        return u_post.new_zeros(len(u_post), 1) if plus is None else plus

    def curvature(self) -> tuple[Tensor, Tensor]:
        return self.get_buffer("other"), self.own


def wired(network: Network, names: Sequence[str], has_anchors: bool, has_feedback: bool, like: Tensor) -> Network:
    """A network of these edges of `network`, as couplings that nothing is known of but their values.

    Args:
        network: what is emulated; of lateral edges, the chip keeps what is known of their strength.
        names: of the edges.
        has_anchors: whether units may have self-terms.
        has_feedback: whether couplings back differ from those forth.
        like: says dtype and device.
    """
    edges: list[Edge] = []
    for edge in (network.edges[name] for name in names):
        shapes = network.layers[edge.pre].shape, network.layers[edge.post].shape
        if has_feedback:
            edges.append(TwoWay(edge.pre, edge.post, *shapes))
        elif isinstance(edge, Lateral):
            edges.append(Lateral(edge.pre, shapes[0]))
        else:
            edges.append(Dense(edge.pre, edge.post, *shapes))
    if has_anchors:
        edges += [Anchor(network.input, layer) for layer in network.unit_layers]
    layers = [(network.input, (1,)), *((layer.name, layer.shape) for layer in network.unit_layers)]
    return Network(layers, edges, bias_shapes={}).to(like).requires_grad_(False)


@torch.no_grad()
def load(
    chip: Network,
    names: Sequence[str],
    values: Sequence[tuple[Array, Array]],
    couplings: Couplings,
    units: Mapping[str, Array],
) -> None:
    """Put couplings, forth and back, and self-terms into a network that `wired` made."""
    for name, (forth, back) in zip(names, values, strict=True):
        edge = chip.edges[name]
        edge.weight.copy_(torch.from_numpy(forth))
        if isinstance(edge, TwoWay):
            edge.back.copy_(torch.from_numpy(back))
    if couplings.curvature is not None:
        for layer in chip.unit_layers:
            anchor = chip.edges[f"{chip.input}-{layer.name}"]
            anchor.get_buffer("own").copy_(torch.from_numpy(couplings.curvature[units[layer.name]]).view(layer.shape))
