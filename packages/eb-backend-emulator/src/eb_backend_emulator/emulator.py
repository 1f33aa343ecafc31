"""The backend `emulator`: a chip as a capabilities file describes it, with the faults that its options give it.

    eb train --recipe oim --backend emulator --backend-opt chip=oim-cmos --backend-opt mismatch=0.05

Everything takes the way of a real chip: couplings in levels, fields, states that are read, calls that fail. Only the
dynamics is the relaxer of the run. This module imports no torch.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from eb_core.device import Capabilities, Device, DeviceBackend, configurable, option, read_capabilities
from eb_core.registry import Diagnostic, RunError, Setup, UsageError, did_you_mean, refuse

if TYPE_CHECKING:
    import torch

    from eb_core.learning.session import Session
    from eb_core.network.network import Network
    from eb_core.physics.energy import Energy
    from eb_core.settling.relaxer import Relaxer

CHIPS: Final = Path(__file__).parent / "chips"
OVERRIDDEN: Final = ("weight_bits", "field_bits", "readout_bits", "readout_noise")
"""Options that replace what the file of the chip says."""


@configurable
class Emulator(DeviceBackend):
    """A chip in this process, whose units the relaxer of the run settles."""

    own_dynamics: ClassVar[bool] = False

    chip: str = option(
        default="ideal",
        help="what it can do: ideal (no limits), oim-cmos (phases), cim-fpga (amplitudes), or a capabilities file,"
        " a path that ends in .toml",
    )
    seed: int = option(default=0, help="which chip of its kind: of mismatch, and of all noise", ge=0)
    isolated: bool = option(default=False, help="an emulated chip lives in the process of the run: nothing but false")
    weight_bits: int | None = option(default=None, help="in place of those of the chip", unit="bits", ge=1, le=52)
    field_bits: int | None = option(default=None, help="in place of those of the chip", unit="bits", ge=1, le=52)
    readout_bits: int | None = option(default=None, help="in place of those of the chip", unit="bits", ge=1, le=52)
    readout_noise: float | None = option(
        default=None,
        help="standard deviation of one read, in place of that of the chip; cut at 6 of them",
        unit="width of the range",
        ge=0,
    )
    mismatch: float = option(
        default=0.0,
        help="standard deviation of the gain of each coupling, fixed for a seed",
        unit="share of the coupling",
        ge=0,
    )
    detuning: float = option(
        default=0.0,
        help="of phases: standard deviation of the frequency of each oscillator, fixed for a seed",
        unit="rad per unit time",
        ge=0,
    )
    asymmetry: float = option(
        default=0.0,
        help="standard deviation of the gain of each coupling from post to pre, on top of that from pre to post, fixed"
        " for a seed",
        unit="share of the coupling",
        ge=0,
    )
    parameter_noise: float = option(
        default=0.0,
        help="standard deviation of the error of each coupling, drawn at every programming",
        unit="coupling",
        ge=0,
    )
    drift: float = option(
        default=0.0,
        help="standard deviation of the step that the gain of each coupling takes at every settle; programming does not"
        " undo it",
        unit="share of the coupling",
        ge=0,
    )
    update_bits: int | None = option(
        default=None,
        help="the change of a coupling at a programming is one of 2^bits levels over the range of couplings, 0 the"
        " middle; the first programming is exact",
        unit="bits",
        ge=1,
        le=52,
    )
    settling: float | None = option(
        default=None,
        help="it settles for this share of the iterations of the relaxer, whether it is at rest or not; none: until the"
        " tolerance of the relaxer",
        unit="share of the iterations",
        gt=0,
        le=1,
    )
    transient_faults: float = option(
        default=0.0, help="probability that a call fails, and succeeds when repeated", ge=0, lt=1
    )
    reports: bool = option(
        default=True,
        help="say which couplings really act, for energies and residuals; with asymmetry, the mean of both directions",
    )

    def capabilities(self) -> Capabilities:
        """Those of the chip, with what options say in place of it."""
        said = super().capabilities() if self.probed is not None else read_capabilities(self._path())
        changed = {name: getattr(self, name) for name in OVERRIDDEN if getattr(self, name) is not None}
        try:
            replaced: Capabilities = attrs.evolve(said, **changed)  # type: ignore[misc]
        except ValueError as error:
            raise UsageError(str(error), origin=f"chip = {self.chip}", advice="name a chip with such a range") from None
        return replaced

    def _path(self) -> Path:
        if self.chip.endswith(".toml"):
            return Path(self.chip)
        shipped = {path.stem: path for path in CHIPS.glob("*.toml")}
        if self.chip not in shipped:
            known = (
                did_you_mean(self.chip, shipped) or f"one of {', '.join(sorted(shipped))}, or a path ending in .toml"
            )
            raise UsageError(f"there is no chip '{self.chip}'", origin="backend emulator, chip", advice=known)
        return shipped[self.chip]

    def check(self, setup: Setup) -> Iterable[Diagnostic]:
        yield from super().check(setup)
        if self.isolated:
            yield refuse("an emulated chip lives in the process of the run: leave isolated out")
        if self.update_bits is not None and self.capabilities().weight_range is None:
            yield refuse(f"update_bits divide the range of couplings, and chip = {self.chip} has none")
        yield from self._of_relaxer(setup)

    def _of_relaxer(self, setup: Setup) -> Iterator[Diagnostic]:
        """What the relaxer has to say of units and couplings with these faults."""
        from eb_backend_emulator.fit import says  # noqa: PLC0415 - torch

        return says(self, setup)

    def connect(self) -> Device:
        raise RunError(
            "an emulated chip settles a network, and there is none", origin="backend emulator", advice="use open"
        )

    def open(
        self, network: "Network", energy: "Energy", relaxer: "Relaxer", *, device: "torch.device", dtype: "torch.dtype"
    ) -> "Session":
        from eb_backend_emulator.chip import EmulatedChip  # noqa: PLC0415 - torch
        from eb_core.device.session import DeviceSession  # noqa: PLC0415 - torch

        def connect() -> Device:
            return EmulatedChip(self, self.compile(network, energy), network, energy, relaxer)

        return DeviceSession(network, energy, relaxer, self, connect=connect)
