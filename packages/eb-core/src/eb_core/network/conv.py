"""Convolutional edge: drive(u) = pool(W * u), pullback(v) = W' * unpool(v).

    pool "none"   the convolution itself                           linear
    pool "avg"    mean over 2 x 2, unpool spreads v / 4            linear
    pool "max"    maximum over 2 x 2, unpool puts v at the argmax of the current W * u (first one of equals)

An edge with "max" is not linear: its pullback needs the argmax, which the convolution of `drive_and_context` has found,
so that both directions share one convolution. Weights lie channels last in memory, and what is computed with them then
does so, too: on CPUs and GPUs the faster layout. Without autograd faster ways may serve (`network/sparse.py`,
`network/winograd.py`), with weights prepared once: a change in place is noticed, one through `weight.data` is not.

Reference: Scellier et al., NeurIPS 2023 (arXiv 2312.15103), Sec. 3.
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.grad import conv2d_weight

from eb_core.network.edge import Edge
from eb_core.network.sparse import SparseConv, indices_of, kernels
from eb_core.network.winograd import Winograd

MAP = 1 << 21
"""Values of a map before pooling above which a batch is taken in parts for the gradient, to save memory."""
Pool = Literal["max", "avg", "none"]


class Conv(Edge):
    """Square kernels over images (C, H, W); `weight` is (channels, C, kernel, kernel).

    Args:
        pre_shape: (C, H, W) of `pre`.
        channels: C of `post`.
        kernel, stride, padding: of the convolution; padding is with zeros.
        pool: over 2 x 2 with stride 2; an odd last row or column is left out.
        upscale: `pre` is enlarged so many times before, each value to a square of its own (for tiny images).

    Attributes:
        post_shape: (channels, H', W').
        even: whether neither stride nor pooling leaves a row or column out.

    Raises:
        ValueError: nothing is left of the image.
    """

    def __init__(
        self,
        pre: str,
        post: str,
        pre_shape: Sequence[int],
        channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
        pool: Pool = "max",
        upscale: int = 1,
        gain: float | None = None,
    ) -> None:
        super().__init__(pre, post, pre_shape[0] * kernel**2, gain)
        self.linear = pool != "max"
        self.stride, self.padding, self.pool, self.upscale = stride, padding, pool, upscale
        self.pre_shape = tuple(pre_shape)
        sides = [upscale * side for side in pre_shape[1:]]
        self._map: tuple[int, ...] = tuple((side + 2 * padding - kernel) // stride + 1 for side in sides)
        self._rest = tuple(
            side - ((out - 1) * stride - 2 * padding + kernel) for side, out in zip(sides, self._map, strict=True)
        )
        self.even = not any(self._rest) and (pool == "none" or not any(side % 2 for side in self._map))
        shrink = 1 if pool == "none" else 2
        self.post_shape = (channels, *(side // shrink for side in self._map))
        if min(self._map) < 1 or min(self.post_shape) < 1:
            raise ValueError(
                f"nothing is left of an image of {tuple(sides)} after kernel {kernel} and pooling '{pool}'"
            )
        self._may_be_fast = stride == 1 and padding == 1 and upscale == 1
        self._known: tuple[tuple[Any, ...], SparseConv | Winograd | None] | None = None
        weight = torch.zeros(channels, pre_shape[0], kernel, kernel)
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: not what was prepared for this process and processor."""
        return {**self.__dict__, "_known": None}

    def drive(self, u_pre: Tensor, plus: Tensor | None = None) -> Tensor:
        return _added(self._pooled(self._convolved(u_pre)), plus)

    def drive_and_context(self, u_pre: Tensor) -> tuple[Tensor, Any]:
        """`drive`, and for max-pooling the places of the maxima: in the map, int64, or in their squares, uint8."""
        if self.linear:
            return self.drive(u_pre), None
        way = self._way()
        if isinstance(way, SparseConv) and self.even:
            return way.pooled(u_pre) if way.pays(u_pre) else way.maxima(self._by_library(u_pre))
        drive, places = F.max_pool2d(self._convolved(u_pre), 2, return_indices=True)
        return drive, places

    def drive_at(self, u_pre: Tensor, context: Any) -> Tensor:
        """The convolution at the places of other maxima."""
        if self.linear:
            return self.drive(u_pre)
        image = self._convolved(u_pre)
        if not _in_squares(context):
            return image.flatten(2).gather(2, context.flatten(2)).view(context.shape)
        found = image[:, :, ::2, ::2]
        for place in (1, 2, 3):
            found = torch.where(context == place, image[:, :, place // 2 :: 2, place % 2 :: 2], found)
        return found

    def pullback(self, u_post: Tensor, plus: Tensor | None = None, context: Any = None) -> Tensor:
        way = self._way()
        if isinstance(way, SparseConv) and _in_squares(context):
            return _added(way.transposed(u_post, context), plus)
        spread = self._unpooled(u_post, context)
        if way and way.pays(spread):
            return _added(way.transposed(spread), plus)
        back = F.conv_transpose2d(
            spread, self.weight, stride=self.stride, padding=self.padding, output_padding=self._rest
        )
        if self.upscale > 1:
            back = F.avg_pool2d(back, self.upscale) * self.upscale**2
        return _added(back, plus)

    def gradient(self, u_pre: Tensor, u_post: Tensor) -> dict[str, Tensor]:
        size = max(1, MAP // (self.weight.shape[0] * math.prod(self._map)))
        parts = zip(u_pre.split(size), u_post.split(size), strict=True)  # type: ignore[no-untyped-call]
        return {"weight": reduce(Tensor.add_, (self._weight_gradient(pre, post) for pre, post in parts))}

    def _weight_gradient(self, u_pre: Tensor, u_post: Tensor) -> Tensor:
        context = None if self.linear else self.drive_and_context(u_pre)[1]
        way = self._way()
        if isinstance(way, SparseConv) and _in_squares(context):
            return way.gradient(u_pre, u_post, context)
        spread = self._unpooled(u_post, context)
        found: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
            self._enlarged(u_pre), list(self.weight.shape), spread, stride=self.stride, padding=self.padding
        )
        return found

    def _enlarged(self, u: Tensor) -> Tensor:
        if self.upscale == 1:
            return u
        return u.repeat_interleave(self.upscale, 2).repeat_interleave(self.upscale, 3)

    def _convolved(self, u: Tensor) -> Tensor:
        way = self._way()
        if way and way.pays(u):
            return way.convolve(u)
        return self._by_library(u)

    def _by_library(self, u: Tensor) -> Tensor:
        return F.conv2d(self._enlarged(u), self.weight, stride=self.stride, padding=self.padding)

    def _way(self) -> SparseConv | Winograd | None:
        """A faster way than the library's convolution with the present weights; None under autograd or autocast."""
        weight = self.weight
        plain = torch.is_grad_enabled() or torch.is_autocast_enabled(weight.device.type)
        if plain or not self._may_be_fast or weight.is_inference():
            return None
        now = (weight._version, weight.data_ptr(), weight.stride(), weight.dtype)
        if self._known is None or self._known[0] != now:
            sparse = SparseConv(weight, kernels()[0]) if SparseConv.fits(weight) else None
            self._known = (now, sparse or (Winograd(weight) if Winograd.fits(weight, self._map) else None))
        return self._known[1]

    def _pooled(self, image: Tensor) -> Tensor:
        if self.pool == "none":
            return image
        return F.max_pool2d(image, 2) if self.pool == "max" else F.avg_pool2d(image, 2)

    def _unpooled(self, v: Tensor, places: Tensor | None) -> Tensor:
        """The adjoint of the pooling, (N, channels, *map)."""
        if self.pool == "none":
            return v
        if places is not None:
            if _in_squares(places):
                places = indices_of(places, self._map)
            return F.max_unpool2d(v, places, [2, 2], output_size=self._map)
        spread = (v / 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
        odd = (self._map[1] % 2, self._map[0] % 2)
        return F.pad(spread, (0, odd[0], 0, odd[1])) if any(odd) else spread


def _in_squares(context: Tensor | None) -> bool:
    """Whether these are places in squares of 2x2, as the compiled ways give and take them."""
    return context is not None and context.dtype == torch.uint8


def _added(value: Tensor, plus: Tensor | None) -> Tensor:
    if plus is None:
        return value
    return value + plus if value.requires_grad else value.add_(plus)
