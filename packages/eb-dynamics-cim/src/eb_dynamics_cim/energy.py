"""CIM energy: amplitudes of degenerate optical parametric oscillators, pumped, saturating, in the box [0, 1].

    E = sum_l sum_i (1 - p) x^2 / 2 + x^4 / 4 - sum_e <drive_e(x_pre), x_post> - sum_l <b_l, x_l>
    dx/dt = -dE/dx = (p - 1 - x^2) x + f,   f the local field

p is the pump in units of the threshold of a lone oscillator. While the coupling norm is below 1 - p the energy is
convex; a lone unit crosses its threshold at p = 1 and then has two wells, at 0 (held there by the wall) and at
sqrt(p - 1). arXiv 2606.09117 trains such a machine by equilibrium propagation; only its abstract was available, so
the equations here are the usual amplitude equations of a coherent Ising machine, with the box of EP.
"""

from collections.abc import Iterable

from torch import Tensor

from eb_core import Box, Diagnostic, Domain, Energy, Layer, Setup, configurable, notice, option
from eb_core.settling.coupling import coupling_norm
from eb_dynamics_cim.unit import least_amplitude

_BOX = Box(0.0, 1.0)


@configurable
class CimEnergy(Energy):
    """E = sum (1 - p) x^2 / 2 + x^4 / 4 - couplings - biases; u = x in [0, 1] in every layer, off/on = 0/1."""

    unit = "amplitude"

    pump: float = option(
        default=0.0, help="gain p of a unit; below 1 it decays alone, above 1 it has two wells", unit="threshold", ge=0
    )

    gain = 0.7
    minimizes_exactly = True

    @property
    def stiffness(self) -> float:
        """1 - p: curvature of a unit's energy at x = 0, its smallest in the box."""
        return 1 - self.pump

    @property
    def output_curvature(self) -> float:
        """1 - p below threshold, so that no nudge brings an output unit above it: beta < 1 - p.

        At and above threshold units have two wells in every phase, the free one too. F is bounded on the box, EP
        holds at the minimum that the free phase found, and no beta is refused.
        """
        return self.stiffness if self.stiffness > 0 else float("inf")

    def domain(self, layer: Layer) -> Domain:
        return _BOX

    def self_energy(self, layer: Layer, s: Tensor) -> Tensor:
        square = s.square()
        return square * (self.stiffness / 2 + square / 4)

    def self_derivative(self, layer: Layer, s: Tensor) -> Tensor:
        return s * (self.stiffness + s.square())

    def minimize_unit(self, layer: Layer, field: Tensor, s: Tensor, curvature: Tensor | None = None) -> Tensor:
        """The exact minimum in the box: the root of x^3 + c x = f with c = 1 - p + a."""
        return least_amplitude(self.stiffness if curvature is None else self.stiffness + curvature[0], field[0])

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        """Says where several minima are possible: p >= 1, or a coupling norm of 1 - p and more."""
        network = setup.network
        if network is None or not setup.with_notices:
            return
        if self.stiffness <= 0:
            yield notice(
                f"pump = {self.pump:g} is at or above the threshold of a lone unit: every unit has two wells, and the "
                "way there decides which one it settles in. Let the pump rise (relaxer cim, option ramp), keep beta "
                "small, and compare with a pump below 1"
            )
            return
        if not network.linear:
            return
        norm = self.stiffness * coupling_norm(network, curvature=self.stiffness)
        if norm < self.stiffness:
            return
        cure = f"Multiply the gain of the edges between layers of units by less than {self.stiffness / norm:.2g}"
        if norm < 1:
            cure += f", or lower the pump below {1 - norm:.2g}"
        yield notice(
            f"the coupling norm {norm:.3g} is not below 1 - pump = {self.stiffness:.3g}: the net is above its "
            f"threshold, and may have several minima. {cure}"
        )
