"""An edge carries encoded units from layer `pre` to layer `post`, and back.

    E_edge = - sum_c <drive(u_pre^c), u_post^c>

Written once, it serves every physics: oscillators have two channels, stacked on the batch axis.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn


class Edge(nn.Module, ABC):
    """Wiring between two layers. It has no bias (layers have), and its energy is linear in u_post.

    Args:
        pre, post: names of the layers.
        fan_in: number of inputs that one unit of `post` sums over; sets the scale of the first weights.
        gain: weights start as U(+-gain / sqrt(fan_in)); None leaves the gain to the energy.

    `linear` says that `drive` is linear in u_pre too. An edge that is not (max-pooling) is positively
    homogeneous, and its `drive_and_context` returns what `pullback` needs to know of the current u_pre.
    """

    linear: bool = True
    weight: nn.Parameter

    def __init__(self, pre: str, post: str, fan_in: int, gain: float | None = None) -> None:
        super().__init__()
        self.pre, self.post, self.fan_in, self.gain = pre, post, fan_in, gain

    @property
    def version(self) -> int:
        """A number that grows with every change of the edge's parameters in place."""
        return sum(parameter._version for parameter in self._parameters.values() if parameter is not None)

    @abstractmethod
    def drive(self, u_pre: Tensor, plus: Tensor | None = None) -> Tensor:
        """Field on `post`: (N, *post_shape) for u_pre (N, *pre_shape), added to `plus` if given (not in place)."""

    @abstractmethod
    def pullback(self, u_post: Tensor, plus: Tensor | None = None, context: Any = None) -> Tensor:
        """Field on `pre`: d<drive(u_pre), u_post> / du_pre, (N, *pre_shape), added to `plus` if given.

        `context` is what `drive_and_context` returned for the current u_pre; linear edges ignore it.
        """

    def drive_and_context(self, u_pre: Tensor) -> tuple[Tensor, Any]:
        """`drive` together with what `pullback` at the same u_pre needs; None for linear edges."""
        return self.drive(u_pre), None

    def drive_at(self, u_pre: Tensor, context: Any) -> Tensor:
        """The linear map whose transpose is `pullback` with this context, (N, *post_shape); by autograd unless an edge
        knows better. At the u_pre of the context it is `drive`.
        """
        if self.linear:
            return self.drive(u_pre)
        recorded = torch.is_grad_enabled()
        with torch.enable_grad():
            probe = torch.zeros_like(self.drive(u_pre.detach())).requires_grad_()
            back = self.pullback(probe, context=context)
            found: Tensor = torch.autograd.grad(back, probe, u_pre, create_graph=recorded)[0]
        return found

    def gradient(self, u_pre: Tensor, u_post: Tensor) -> dict[str, Tensor]:
        """d sum_N <drive(u_pre), u_post> / d parameter, by parameter name; by autograd unless an edge knows better."""
        parameters = {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
        with torch.enable_grad():
            total = (self.drive(u_pre.detach()) * u_post.detach()).sum()
            gradients = torch.autograd.grad(total, list(parameters.values()))
        return dict(zip(parameters, gradients, strict=True))

    @torch.no_grad()
    def init_(self, gain: float, generator: torch.Generator) -> None:
        """Draw the weights: U(+-g / sqrt(fan_in)), g the edge's own gain if it has one, else `gain`."""
        bound = (gain if self.gain is None else self.gain) / self.fan_in**0.5
        self.weight.uniform_(-bound, bound, generator=generator)
