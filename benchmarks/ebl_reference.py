"""The public reference code of EBL (Scellier et al., NeurIPS 2023), driven from outside; its path is an argument.

    git clone https://github.com/rain-neuromorphics/energy-based-learning

Nothing of it is in this repository. This module only puts our weights into its objects and runs its own loops.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from eb_core import Network


class Reference:
    """A deep Hopfield net of the reference code with the weights of one of our networks."""

    def __init__(
        self, path: Path, network: Network, beta: float, free_steps: int, nudged_steps: int, lr: float
    ) -> None:
        code = _import(path)
        shapes = [layer.shape for layer in network.layers.values()]
        self.energy = code.DeepHopfieldEnergy(shapes, [1.0] * (len(shapes) - 1))
        self.energy.set_device("cpu")
        self.layers = self.energy.layers()
        self.cost = code.SquaredError(self.layers[-1])
        self.network = code.Network(self.energy)
        self.free = code.FixedPointMinimizer(self.energy, self.network.free_layers())
        self.free.num_iterations, self.free.mode = free_steps, "asynchronous"
        augmented = code.AugmentedFunction(self.energy, self.cost)
        nudged = code.FixedPointMinimizer(augmented, self.network.free_layers())
        nudged.num_iterations, nudged.mode = nudged_steps, "asynchronous"
        self.estimator = code.EquilibriumProp(self.energy.params(), self.layers, augmented, self.cost, nudged)
        self.estimator.variant, self.estimator.nudging = "centered", beta
        self.parameters = self._parameters(network)
        self.optimiser = torch.optim.SGD([parameter.state for parameter in self.energy.params()], lr=lr)

    def _parameters(self, network: Network) -> dict[str, Any]:
        """Reference parameters under our names, filled with our values."""
        biases, weights = {}, {}
        names = list(network.layers)
        depth = len(names) - 1
        for index, parameter in enumerate(self.energy.params()):
            if index < depth:
                biases[f"biases.{names[index + 1]}"] = parameter
            else:
                pre, post = names[index - depth], names[index - depth + 1]
                weights[f"edges.{pre}-{post}.weight"] = parameter
        found = biases | weights
        for name, value in network.named_parameters():
            mine = value.detach()
            there = found[name].state
            found[name].state = (mine.t() if mine.ndim == 2 else mine).reshape(there.shape).clone().to(mine.dtype)
        return found

    def load(self, x: Tensor, labels: Tensor, dtype: torch.dtype) -> None:
        """Set a batch, and all layers to zero."""
        self.network.set_input(x, reset=True)
        for layer in self.layers[1:]:
            layer.state = layer.state.to(dtype)
        self.cost.set_target(labels)
        self.cost._target = self.cost._target.to(dtype)

    def settle(self) -> None:
        """The free phase."""
        self.free.compute_equilibrium()

    def step(self) -> None:
        """Free phase, both nudges, gradient, one step of SGD."""
        self.free.compute_equilibrium()
        for parameter, gradient in zip(self.energy.params(), self.estimator.compute_gradient(), strict=True):
            parameter.state.grad = gradient
        self.optimiser.step()

    def states(self) -> list[Tensor]:
        """States of all layers but the input."""
        return [layer.state for layer in self.layers[1:]]

    def values(self) -> dict[str, Tensor]:
        """Parameters under our names and in our shapes."""
        return {
            name: (parameter.state.flatten(0, -2).t() if name.startswith("edges") else parameter.state)
            for name, parameter in self.parameters.items()
        }


def _import(path: Path) -> SimpleNamespace:
    sys.path.insert(0, str(path))
    from model.function.cost import SquaredError
    from model.function.network import Network as ReferenceNetwork
    from model.hopfield.minimizer import FixedPointMinimizer
    from model.hopfield.network import DeepHopfieldEnergy
    from training.sgd import AugmentedFunction, EquilibriumProp

    return SimpleNamespace(
        AugmentedFunction=AugmentedFunction,
        DeepHopfieldEnergy=DeepHopfieldEnergy,
        EquilibriumProp=EquilibriumProp,
        FixedPointMinimizer=FixedPointMinimizer,
        Network=ReferenceNetwork,
        SquaredError=SquaredError,
    )
