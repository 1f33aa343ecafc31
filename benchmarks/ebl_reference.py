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
    """A Hopfield net of the reference code with the weights of one of our networks.

    An MLP becomes its `DeepHopfieldEnergy`, four conv layers on 32 x 32 images its `ConvHopfieldEnergy32`.

    Args:
        rule: c-ep, p-ep, n-ep, cl, c-cpl, p-cpl, n-cpl or tbp; its estimator is built as its own study builds it.
    """

    def __init__(
        self,
        path: Path,
        network: Network,
        beta: float,
        free_steps: int,
        nudged_steps: int,
        lr: float,
        rule: str = "c-ep",
    ) -> None:
        code = _import(path)
        self.energy = _energy(code, network)
        self.energy.set_device(str(next(network.parameters()).device))
        self.layers = self.energy.layers()
        self.cost = code.SquaredError(self.layers[-1])
        self.network = code.Network(self.energy)
        self.free = code.FixedPointMinimizer(self.energy, self.network.free_layers())
        self.free.num_iterations, self.free.mode = free_steps, "asynchronous"
        self.estimator = self._estimator(code, rule, beta, nudged_steps)
        self._shapes = {name: value.shape for name, value in network.named_parameters()}
        self.parameters = self._parameters(network)
        self.optimiser = torch.optim.SGD([parameter.state for parameter in self.energy.params()], lr=lr)

    def _estimator(self, code: SimpleNamespace, rule: str, beta: float, steps: int) -> Any:
        layers, parameters = self.network.free_layers(), self.energy.params()
        augmented = code.AugmentedFunction(self.energy, self.cost)
        function, moving = {
            "ep": (augmented, layers),
            "tbp": (self.energy, layers),
        }.get(rule.rpartition("-")[2], (self.energy, layers[:-1]))
        minimiser = code.FixedPointMinimizer(function, moving)
        minimiser.num_iterations, minimiser.mode = steps, "asynchronous"
        if rule == "tbp":
            return code.Backprop(parameters, self.layers, self.cost, minimiser)
        kind = code.EquilibriumProp if rule.endswith("ep") else code.ContrastiveLearning
        estimator = kind(parameters, self.layers, function, self.cost, minimiser)
        estimator.variant = {"c": "centered", "n": "negative"}.get(rule.partition("-")[0], "positive")
        estimator.nudging = 1.0 if rule == "cl" else beta
        return estimator

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
            there = (mine.t() if mine.ndim == 2 else mine).reshape(found[name].state.shape)
            found[name].state = there.clone(memory_format=torch.contiguous_format)
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

    def gradient(self) -> dict[str, Tensor]:
        """The estimate from the present state, the settled free one, under our names and in our shapes."""
        found = dict(zip(self.energy.params(), self.estimator.compute_gradient(), strict=True))
        return {name: self._ours(name, found[parameter]) for name, parameter in self.parameters.items()}

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
        return {name: self._ours(name, parameter.state) for name, parameter in self.parameters.items()}

    def _ours(self, name: str, there: Tensor) -> Tensor:
        shape = self._shapes[name]
        return there.flatten(0, -2).t() if len(shape) == 2 else there.reshape(shape)


def _energy(code: SimpleNamespace, network: Network) -> Any:
    shapes = [layer.shape for layer in network.layers.values()]
    if len(shapes[1]) == 1:
        return code.DeepHopfieldEnergy(shapes, [1.0] * (len(shapes) - 1))
    channels = [shape[0] for shape in shapes]
    return code.ConvHopfieldEnergy32(channels[0], channels[-1], *channels[1:-1])


def _import(path: Path) -> SimpleNamespace:
    sys.path.insert(0, str(path))
    from model.function.cost import SquaredError
    from model.function.network import Network as ReferenceNetwork
    from model.hopfield.minimizer import FixedPointMinimizer
    from model.hopfield.network import ConvHopfieldEnergy32, DeepHopfieldEnergy
    from training.sgd import AugmentedFunction, Backprop, ContrastiveLearning, EquilibriumProp

    return SimpleNamespace(
        AugmentedFunction=AugmentedFunction,
        Backprop=Backprop,
        ContrastiveLearning=ContrastiveLearning,
        ConvHopfieldEnergy32=ConvHopfieldEnergy32,
        DeepHopfieldEnergy=DeepHopfieldEnergy,
        EquilibriumProp=EquilibriumProp,
        FixedPointMinimizer=FixedPointMinimizer,
        Network=ReferenceNetwork,
        SquaredError=SquaredError,
    )
