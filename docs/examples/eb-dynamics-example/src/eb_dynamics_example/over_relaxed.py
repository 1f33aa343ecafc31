"""Over-relaxed block updates: each layer goes past its minimum, or stops short of it.

    s_l <- P(s_l + omega (m_l - s_l)),   m_l = argmin of F over s_l with the neighbours fixed

This is successive over-relaxation with a projection P on the domain. Where F is quadratic in s_l, as on the
Hopfield energy, it never increases F for 0 < omega < 2.
"""

from eb_core import Energy, IterativeRelaxer, Workspace, configurable, option


@configurable
class OverRelaxed(IterativeRelaxer):
    """s_l <- P(s_l + omega (argmin F - s_l)), layer after layer."""

    omega: float = option(
        default=1.2,
        help="relaxation factor: 1 goes to the minimum of a layer, less is damped, more goes past",
        gt=0,
        lt=2,
    )

    def sweep(self, work: Workspace) -> None:
        """Visit every free layer once, each with fresh neighbours."""
        for name in work.order():
            old = work.units[name]
            new = old + self.omega * (work.minimized(name) - old)
            domain = work.energy.domain(work.layers[name])
            work.write(name, domain.project(new))

    def why_not(self, energy: Energy) -> str | None:
        """Refuse energies with two channels: their states are angles."""
        if energy.channels > 1:
            return "it goes along a straight line between two states, and angles lie on a circle"
        return None
