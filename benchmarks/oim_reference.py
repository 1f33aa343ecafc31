"""The public reference code of OIM-EP (Gower, arXiv 2505.02103), driven from outside; its path is an argument.

    git clone https://github.com/alexgower/OIM-Equilibrium-Propagation

Nothing of it is in this repository. This module only puts our weights into its objects and runs its own loops.
"""

import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from eb_core import Network


class Reference:
    """An oscillator MLP of the reference code with the weights of one of our networks."""

    def __init__(self, path: Path, network: Network, eps: float, beta: float) -> None:
        sys.path.insert(0, str(path))
        sys.modules.setdefault("wandb", ModuleType("wandb"))  # it imports this logger, and logs nothing here
        from model_utils import OIM_MLP

        sizes = [layer.size for layer in network.layers.values()]
        self.network, self.beta = network, beta
        self.model = OIM_MLP(sizes, activation=torch.cos, epsilon=eps)
        self.criterion = torch.nn.MSELoss(reduction="none")
        for index, edge in enumerate(network.edges.values()):
            self.model.synapses[index].weight.data = edge.weight.detach().clone()
            self.model.biases[index].data = network.bias(edge.post).detach().clone()
        self.free: list[Tensor] = []

    def run(self, x: Tensor, labels: Tensor, phases: list[Tensor], steps: int, beta: float = 0.0) -> list[Tensor]:
        """So many Euler steps from `phases`, with the reference's own loop."""
        start = [phase.detach().clone() for phase in phases]
        found, _ = self.model(x, labels, start, T=steps, beta=beta, criterion=self.criterion)
        return [phase.detach() for phase in found]

    def rest(self, batch: int) -> list[Tensor]:
        """Its reference phases."""
        return self.model.init_neurons(batch, torch.device("cpu"))

    def gradient(self, x: Tensor, labels: Tensor, steps: int, nudged_steps: int) -> dict[str, Tensor]:
        """Centred EP with its own loops: free phase, both nudges from the free phases, its contrast."""
        self.free = self.run(x, labels, self.rest(len(x)), steps)
        plus = self.run(x, labels, self.free, nudged_steps, self.beta)
        minus = self.run(x, labels, self.free, nudged_steps, -self.beta)
        self.model.compute_syn_grads(x, labels, plus, minus, (self.beta, -self.beta), self.criterion)
        found = {}
        for index, edge in enumerate(self.network.edges.values()):
            found[f"edges.{edge.pre}-{edge.post}.weight"] = self.model.synapses[index].weight.grad.clone()
            found[f"biases.{edge.post}"] = self.model.biases[index].grad.clone()
        return found
