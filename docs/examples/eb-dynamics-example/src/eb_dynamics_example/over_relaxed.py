"""Over-relaxed block updates: each layer goes past its minimum, or stops short of it.

    s_l <- P(s_l + omega (m_l - s_l)),   m_l = argmin of F over s_l with the neighbours fixed

This is successive over-relaxation with a projection P on the domain. Where F is quadratic in s_l, as on the
Hopfield energy, it never increases F for 0 < omega < 2.
"""

from collections.abc import Iterable

from eb_core import Diagnostic, IterativeRelaxer, Setup, View, configurable, option, refuse


@configurable
class OverRelaxed(IterativeRelaxer):
    """s_l <- P(s_l + omega (argmin F - s_l)), layer after layer."""

    omega: float = option(
        default=1.2,
        help="relaxation factor: 1 goes to the minimum of a layer, less is damped, more goes past",
        gt=0,
        lt=2,
    )

    def step(self, view: View) -> None:
        """Visit every free layer once, each with fresh neighbours."""
        for name in view.order():
            old = view.units[name]
            new = old + self.omega * (view.minimized(name) - old)
            view.write(name, view.project(name, new))

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """Refuse energies with two channels: their states are angles."""
        if setup.energy is not None and setup.energy.channels > 1:
            yield refuse("it goes along a straight line between two states, and angles lie on a circle")
