"""Dense edge: drive(u) = W u, pullback(v) = W' v.

Layers of any shape are flattened: `(512, 2, 2) -> (10,)` is a 10 x 2048 matrix.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from eb_core.network.edge import Edge


class Dense(Edge):
    """All units of `pre` to all units of `post`; `weight` is (post size, pre size)."""

    def __init__(
        self, pre: str, post: str, pre_shape: Sequence[int], post_shape: Sequence[int], gain: float | None = None
    ) -> None:
        super().__init__(pre, post, math.prod(pre_shape), gain)
        self.pre_shape, self.post_shape = tuple(pre_shape), tuple(post_shape)
        self.weight = nn.Parameter(torch.zeros(math.prod(post_shape), math.prod(pre_shape)))

    def matrix(self) -> Tensor:
        """W, (units of post, units of pre)."""
        return self.weight

    def as_matrix(self) -> Tensor:
        return self.matrix()

    @torch.no_grad()
    def take_matrix_(self, matrix: Tensor) -> bool:
        own = "weight" in self._parameters and self.weight.shape == matrix.shape
        if own:
            self.weight.copy_(matrix)
        return own

    def drive(self, u_pre: Tensor, plus: Tensor | None = None) -> Tensor:
        return _product(u_pre, self.matrix().t(), plus, self.post_shape)

    def gradient(self, u_pre: Tensor, u_post: Tensor) -> dict[str, Tensor]:
        return {"weight": u_post.flatten(1).t() @ u_pre.flatten(1)}

    def pullback(self, u_post: Tensor, plus: Tensor | None = None, context: Any = None) -> Tensor:
        return _product(u_post, self.matrix(), plus, self.pre_shape)


def _product(u: Tensor, matrix: Tensor, plus: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    """u @ matrix + plus. Flat layers come back with the samples innermost in memory: the faster product."""
    if u.ndim == 2 and len(shape) == 1:
        product = matrix.t() @ u.t() if plus is None else torch.addmm(plus.t(), matrix.t(), u.t())
        return product.t()
    flat = u.flatten(1)
    product = flat @ matrix if plus is None else torch.addmm(plus.flatten(1), flat, matrix)
    return product.view(-1, *shape)
