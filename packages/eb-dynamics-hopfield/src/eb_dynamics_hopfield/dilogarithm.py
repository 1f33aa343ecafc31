"""The integral of softplus, R(s) = int_-inf^s log(1 + e^t) dt = -Li2(-e^s), which torch does not have.

    s <= -1    sum_k (-1)^(k+1) e^(k s) / k^2
    |s| < 1    pi^2 / 12 + s log 2 + s^2 / 4 + s^3 / 24 - s^5 / 960 + ...        Taylor series of R
    s >= 1     pi^2 / 6 + s^2 / 2 - R(-s)

L. Lewin, Polylogarithms and Associated Functions (1981), eqs. 1.1 and 1.7.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

TERMS = 30
ODD = (
    1 / 24,
    -1 / 960,
    1 / 20160,
    -17 / 5806080,
    31 / 159667200,
    -691 / 49816166400,
    5461 / 5230697472000,
    -929569 / 11381997699072000,
    3202291 / 486580401635328000,
    -221930581 / 408727537373675520000,
    4722116521 / 103408066955539906560000,
)
"""Coefficients of s^3, s^5, ... s^23."""


def softplus_integral(s: Tensor) -> Tensor:
    """R(s), elementwise, to rounding in float64; its derivative is softplus, however often it is differentiated."""
    value: Tensor = _SoftplusIntegral.apply(s)  # type: ignore[no-untyped-call]
    return value


class _SoftplusIntegral(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, s: Tensor) -> Tensor:
        context.save_for_backward(s)
        far = s.abs().clamp(min=1)
        tail = sum(((-1) ** (k + 1) / k**2) * torch.exp(-k * far) for k in range(1, TERMS + 1))
        assert isinstance(tail, Tensor)
        outside = torch.where(s < 0, tail, math.pi**2 / 6 + far.square() / 2 - tail)
        near = s.clamp(-1, 1)
        square, odd = near.square(), torch.zeros_like(s)
        for coefficient in reversed(ODD):
            odd = odd * square + coefficient
        inside = math.pi**2 / 12 + near * math.log(2) + square / 4 + odd * near * square
        return torch.where(s.abs() < 1, inside, outside)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (s,) = context.saved_tensors
        return gradients[0] * F.softplus(s)
