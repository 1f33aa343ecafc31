"""What cSB refuses or warns of, before anything diverges, with the reason and the cure."""

from collections.abc import Iterator

from eb_core import Diagnostic, Energy, Network, Problem, UsageError, notice
from eb_core.physics.stiffness import largest_stiffness
from eb_core.settling.coupling import coupling_norm
from eb_dynamics_csb.pace import Pace
from eb_dynamics_csb.stability import Update, largest_sigma, unit_of, used


def check_options(dt: float, gamma: float) -> None:
    """Refuse steps that no unit survives, whatever its neighbours.

    Raises:
        ValueError: gamma dt > 1, or dt^2 >= 2 (2 - gamma dt).
    """
    if gamma * dt > 1 + 1e-9:
        raise ValueError(
            f"gamma dt = {gamma * dt:.4g} is above 1, so the momentum would change its sign at every iteration:"
            f" lower gamma to {1 / dt:.4g} or less"
        )
    limit = 2 * (2 - gamma * dt)
    if dt * dt >= limit:
        raise ValueError(
            f"dt^2 = {dt * dt:.4g} is not below 2 (2 - gamma dt) = {limit:.4g}, so a Hopfield unit diverges without"
            " any neighbour: lower dt"
        )


def check_nudge(problem: Problem, pace: Pace, curvature: float, dt: str) -> None:
    """Refuse an iterated nudge under which the output diverges without any neighbour.

    Raises:
        UsageError: h (c + beta) >= 2 (1 + mu).
    """
    nudge = problem.nudge
    bend = nudge.cost.quadratic(nudge.target) if nudge else None
    if nudge is None or bend is None or not isinstance(pace.h, float) or not isinstance(pace.mu, float):
        return
    beta = float(nudge.beta.max())
    stretch, limit = pace.h * (curvature + beta * bend[0]), 2 * (1 + pace.mu)
    if stretch >= limit:
        raise UsageError(
            f"dt^2 (1 + beta) = {stretch:.4g} is not below 2 (2 - gamma dt) = {limit:.4g}: the nudged output diverges",
            origin=f"csb with dt = {dt}, nudge = iterated, beta = {beta:g}",
            advice="lower dt or beta, or use nudge = closed",
        )


def pace_notices(network: Network, energy: Energy, update: Update, pace: Pace) -> Iterator[Diagnostic]:
    """Says where a fixed pace may not converge on these weights: the coupling norm is too large for it."""
    if not network.linear:
        return
    assert isinstance(pace.h, float)
    assert isinstance(pace.mu, float)
    curvature = largest_stiffness(energy)
    h, sigma = pace.h * unit_of(curvature), coupling_norm(network, curvature=curvature)
    if used(update, h, pace.mu, sigma) < 1 and (update == "sequential" or sigma < 1):
        return
    limit = largest_sigma(update, h, pace.mu)
    if limit <= 0:
        yield notice(f"csb: dt^2 = {pace.h:.3g} is too large for units of curvature {curvature:.3g}: lower dt")
        return
    allowed, present = limit * unit_of(curvature), sigma * unit_of(curvature)
    yield notice(
        f"csb, {update}: this dt and gamma settle while the coupling norm of the units off their walls is below"
        f" {allowed:.2f}, and that of all units is {present:.2f}: if phases miss the tolerance,"
        " lower dt, or leave dt and gamma out with update = sequential, which settles whatever the coupling"
    )
