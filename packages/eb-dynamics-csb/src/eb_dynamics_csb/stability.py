"""When cSB is stable, and its best step, as functions of the coupling norm sigma.

Legend: h = dt^2 step on the force, mu = 1 - gamma dt momentum, beta nudge strength, sigma coupling norm of the units
that move. Units have self-curvature 1, as Hopfield units do; for curvature c read h c for h and sigma / c for sigma.

    one unit alone        h (1 + beta) < 2 (1 + mu)
    parallel              h (1 + sigma + max(beta, 0)) < 2 (1 + mu),  sigma < 1
    sequential            h + mu (h sigma)^2 / (1 - mu)^2 < 2 (1 + mu);  with mu = 0 for every sigma

    best, w = 2 / (1 + sqrt(1 - sigma^2)):
    parallel              h = w, mu = w - 1;  each iteration leaves (1 - sqrt(1 - sigma^2)) / sigma
    sequential            h = w, mu = 0;      each iteration leaves w - 1

The sequential condition is where an eigenvalue lambda = exp(i theta) of two alternating blocks meets the unit circle,
lambda + mu / lambda - (1 + mu - h) = h sigma sqrt(lambda). The best sequential step is successive over-relaxation
with factor w (D. M. Young 1954), the best parallel one is heavy ball (B. T. Polyak 1964).
"""

import math
from typing import Literal

Update = Literal["sequential", "parallel"]


def over_relaxation(sigma: float) -> float:
    """w = 2 / (1 + sqrt(1 - sigma^2)), in [1, 2), for 0 <= sigma < 1."""
    return 2 / (1 + math.sqrt(1 - sigma**2))


def best(update: Update, sigma: float) -> tuple[float, float]:
    """(dt, gamma) of the fastest asymptotic convergence, 0 <= sigma < 1."""
    w = over_relaxation(sigma)
    dt = math.sqrt(w)
    return dt, (1 / dt if update == "sequential" else (2 - w) / dt)


def rate(update: Update, sigma: float) -> float:
    """What one iteration leaves of the distance to the minimum at `best(update, sigma)`."""
    root = math.sqrt(1 - sigma**2)
    if update == "sequential":
        return (1 - root) / (1 + root)
    return (1 - root) / sigma if sigma else 0.0


def used(update: Update, h: float, mu: float, sigma: float) -> float:
    """Which part of the stable range of free phases a step uses; it converges below 1 (and parallel for sigma < 1)."""
    if update == "parallel":
        return h * (1 + sigma) / (2 * (1 + mu))
    return (h + (mu * (h * sigma / (1 - mu)) ** 2 if mu else 0.0)) / (2 * (1 + mu))


def largest_sigma(update: Update, h: float, mu: float) -> float:
    """The coupling norm up to which a step is stable in free phases; inf for sequential steps without momentum."""
    room = 2 * (1 + mu) - h
    if update == "parallel":
        return min(room / h, 1.0)
    return (1 - mu) / h * math.sqrt(room / mu) if mu else math.inf


def unit_of(curvature: float) -> float:
    """In what curvatures are measured: c, and 1 for units without a curvature of their own."""
    return curvature or 1.0
