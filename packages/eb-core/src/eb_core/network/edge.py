"""An edge carries encoded units from layer `pre` to layer `post`, and back.

    E_edge = - sum_c <drive(u_pre^c), u_post^c> + 1/2 sum_c (<a_pre, (u_pre^c)^2> + <a_post, (u_post^c)^2>)

The second part, its self-term, is there where `curvature` says so: a resistor 1/2 theta (u_i - u_j)^2 has one. An edge
from a layer to itself is lateral. Written once, an edge serves every physics: oscillators have two channels, stacked on
the batch axis.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn


class Edge(nn.Module, ABC):
    """Wiring between two layers, or within one. It has no bias (layers have), and `drive` does not depend on u_post.

    Args:
        pre, post: names of the layers; the same one twice for a lateral edge, which must be linear.
        fan_in: number of inputs that one unit of `post` sums over; sets the scale of the first weights.
        gain: weights start as U(+-gain / sqrt(fan_in)); None leaves the gain to the energy.

    `linear` says that `drive` is linear in u_pre too. An edge that is not (max-pooling) is positively
    homogeneous, and its `drive_and_context` returns what `pullback` needs to know of the current u_pre.

    Attributes:
        pre, post, fan_in, gain: as given; parameters are attributes of the subclass, zero at first.

    `bounds` declares constraints: parameter name -> (lowest, highest) value. After every update of the weights
    `project_` puts them back into their set, and a checkpoint that lies outside is refused.
    """

    linear: bool = True
    bounds: Mapping[str, tuple[float, float]] = MappingProxyType({})
    weight: nn.Parameter
    """Of edges that have one parameter of this name, as the built-in ones do; others name theirs as they like."""

    def __init__(self, pre: str, post: str, fan_in: int, gain: float | None = None) -> None:
        super().__init__()
        self.pre, self.post, self.fan_in, self.gain = pre, post, fan_in, gain

    def __init_subclass__(cls, **arguments: Any) -> None:
        """A matrix belongs to the `drive` beside it, and is not inherited by another one."""
        super().__init_subclass__(**arguments)
        if ("drive" in vars(cls) or "pullback" in vars(cls)) and "as_matrix" not in vars(cls):
            cls.as_matrix = Edge.as_matrix  # type: ignore[method-assign]

    def as_matrix(self) -> Tensor | None:
        """W, (units of post, units of pre), with drive(u) = W u and pullback(v) = W' v on flattened layers.

        None if the edge is no matrix, or a large one. Nets of matrices settle in buffers, which is several times faster
        for small batches.
        """
        return None

    def take_matrix_(self, matrix: Tensor) -> bool:
        """Put the parameters, in place, to values of which `as_matrix` makes `matrix`; whether it can."""
        return False

    @property
    def version(self) -> int:
        """A number that grows with every change of the edge's parameters in place."""
        return sum(parameter._version for parameter in self._parameters.values() if parameter is not None)

    @property
    def is_lateral(self) -> bool:
        """Whether it joins units of one layer."""
        return self.pre == self.post

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

    def curvature(self) -> tuple[Tensor, Tensor] | None:
        """(a_pre, a_post) of the self-term, broadcastable to the layers' shapes, differentiable; None without one."""
        return None

    def curvature_gradient(self, pre: Tensor, post: Tensor) -> dict[str, Tensor]:
        """d (<a_pre, pre> + <a_post, post>) / d parameter, by parameter name; by autograd unless an edge knows better.

        Args:
            pre: of the shape of layer `pre`; a gradient of the energy takes 1/2 sum_N sum_c u^2.
            post: likewise, of the shape of layer `post`.
        """
        parameters = {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
        with torch.enable_grad():
            curvature = self.curvature()
            if curvature is None:
                return {}
            total = (curvature[0] * pre).sum() + (curvature[1] * post).sum()
            gradients = torch.autograd.grad(total, list(parameters.values()), materialize_grads=True)
        return dict(zip(parameters, gradients, strict=True))

    @torch.no_grad()
    def majorant(self, shape: tuple[int, ...]) -> Tensor:
        """a >= 0 of a lateral edge on a layer of this shape, such that diag(a) + J is positive semi-definite.

        J u = drive(u) + pullback(u). A block update bends the energy of the layer by a, so that it never climbs. Here
        a_i = sum_j |J_ij|, from one product with all unit vectors; override it where it can be had for less.
        """
        units = torch.eye(math.prod(shape)).to(next(self.parameters())).view(-1, *shape)
        return (self.drive(units) + self.pullback(units)).abs().sum(0)

    def init_(self, gain: float, generator: torch.Generator) -> None:
        """Draw every parameter: U(+-g / sqrt(fan_in)), g the edge's own gain or else `gain`; then `project_` them."""
        bound = (gain if self.gain is None else self.gain) / self.fan_in**0.5
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound, generator=generator)
        self.project_()

    @torch.no_grad()
    def project_(self) -> None:
        """Put every parameter, in place, to the nearest allowed value: default, to its `bounds`."""
        for name, (lowest, highest) in self.bounds.items():
            self.get_parameter(name).clamp_(lowest, highest)
