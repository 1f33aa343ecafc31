"""The gradient of every contrastive rule: a weighted sum of energies at settled states.

    g = d/dtheta mean_B sum_k w_k E(theta, s_k)
      = mean_B sum_k w_k [1/2 <d a_e/dtheta, |u_k|^2> at both ends - <d drive_e(u_pre,k)/dtheta, u_post,k>, -u_l,k]

For C-EP the sum is (E(s_+) - E(s_-)) / (2 beta). The states are held fixed, so each edge gives its part from the units
at its two ends: local, exact, and one product for all states together. The input is the same in all states, so the
drives of its edges need only the weighted sum of their u_post.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eb_core.settling.problem import Problem
from eb_core.settling.state import State


@torch.no_grad()
def contrast(problem: Problem, terms: Sequence[tuple[float, State]]) -> dict[str, Tensor]:
    """Batch mean of sum_k w_k dE/dtheta at the given states, by parameter name.

    Args:
        problem: any phase of the batch; it brings network, energy and input.
        terms: pairs (w_k, state).
    """
    network, batch = problem.network, problem.batch
    parts: dict[str, list[Tensor]] = {}
    weighted: dict[str, list[Tensor]] = {}
    for layer in network.unit_layers:
        codes = [problem.energy.encode(layer, state[layer.name].detach()) for _, state in terms]
        parts[layer.name] = codes
        weighted[layer.name] = [code * (-weight / batch) for code, (weight, _) in zip(codes, terms, strict=True)]

    def squares(name: str) -> Tensor:
        """1/2 mean_B sum_k w_k |u_k|^2 of a layer, of its shape."""
        if name == network.input:
            return sum(weight for weight, _ in terms) * problem.x.square().sum(0) / (2 * batch)
        products = [-0.5 * code * own for code, own in zip(parts[name], weighted[name], strict=True)]
        return _sum(products).sum((0, 1))

    gradients: dict[str, Tensor] = {}
    for edge in network.edges.values():
        post = weighted[edge.post]
        if edge.pre == network.input:
            found = edge.gradient(problem.x, _sum(post)[0])
        else:
            found = edge.gradient(_stacked(parts[edge.pre]), _stacked(post))
        if edge in network.curved(edge.post):
            bends = edge.curvature_gradient(squares(edge.pre), squares(edge.post))
            found = {name: gradient + bends.get(name, 0.0) for name, gradient in found.items()}
        gradients |= {f"edges.{edge.pre}-{edge.post}.{parameter}": gradient for parameter, gradient in found.items()}
    for name, bias in network.biases.items():
        gradients[f"biases.{name}"] = _sum(weighted[name])[0].sum_to_size(bias.shape)
    return {name: gradients[name] for name in network.parameter_names()}


def _sum(parts: Sequence[Tensor]) -> Tensor:
    """Sum over the states, (channels, B, *shape)."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """States and channels one after the other on the batch axis."""
    return torch.cat([part.flatten(0, 1) for part in parts])
