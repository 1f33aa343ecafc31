"""The response of one unit: the amplitude of least energy in [0, 1], in closed form.

    argmin_{0 <= x <= 1}  c x^2 / 2 + x^4 / 4 - f x ;   stationary points are the real roots of x^3 + c x = f

With r = sqrt(|c| / 3) and q = f / (2 r^3), the largest root is

    c > 0:  2 r sinh(asinh(q) / 3) = r (t - 1/t),   t = (q + sqrt(q^2 + 1))^(1/3)       the only one
    c = 0:  f^(1/3)
    c < 0:  sign(q) 2 r cosh(acosh|q| / 3) for |q| >= 1, else 2 r cos(acos(q) / 3)

Between the middle and the largest root f's slope is downhill, so the least value in the box is at the largest root,
cut to the box, or (only for c < 0) at 0.
"""

import torch
from torch import Tensor

FLAT = 1e-9
"""|c| below this is taken for 0: r^3 would leave float32."""


def least_amplitude(c: float | Tensor, f: Tensor) -> Tensor:
    """argmin of c x^2 / 2 + x^4 / 4 - f x over [0, 1], elementwise; differentiable where it is smooth.

    Args:
        c: one curvature at 0 for all units, or a tensor that broadcasts to f.
        f: field, any shape.
    """
    if isinstance(c, Tensor):
        if bool((c >= FLAT).all()):
            return _rising(c, f)
        return torch.where(c >= FLAT, _rising(c.clamp(min=FLAT), f), _level_or_folded(c, f))
    if c >= FLAT:
        return _rising(c, f)
    return _flat(f) if c > -FLAT else _folded(c, f)


def _level_or_folded(c: Tensor, f: Tensor) -> Tensor:
    return torch.where(c > -FLAT, _flat(f), _folded(c.clamp(max=-FLAT), f))


def _rising(c: float | Tensor, f: Tensor) -> Tensor:
    r = (c / 3) ** 0.5
    q = f.clamp(min=0) * (0.5 / r**3)
    t = ((q * q + 1).sqrt() + q).pow(1 / 3)
    return ((t - t.reciprocal()) * r).clamp(max=1)


def _flat(f: Tensor) -> Tensor:
    return torch.where(f > 0, f.clamp(FLAT**3, 1) ** (1 / 3), 0.0)


def _folded(c: float | Tensor, f: Tensor) -> Tensor:
    r = (-c / 3) ** 0.5
    q = f / (2 * r**3)
    alone = q.abs() >= 1
    far = q.sign() * torch.cosh(torch.acosh(torch.where(alone, q.abs(), 2.0)) / 3)
    near = torch.cos(torch.acos(torch.where(alone, 0.0, q)) / 3)
    x = (2 * r * torch.where(alone, far, near)).clamp(0, 1)
    return torch.where((c / 2 + x.square() / 4) * x < f, x, 0.0)
