"""Does a device do what it declares, and refuse what it does not?

    from eb_core.testing import check_backend

    def test_my_board_keeps_its_promises():
        check_backend(MyBoard(port="/dev/ttyUSB0"))

`eb check --backend NAME` runs the same checks and prints what each of them found.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import attrs

from eb_core.device.backend import DeviceBackend
from eb_core.device.capabilities import ANY
from eb_core.physics.energy import Energy
from eb_core.registry import Registry, UsageError
from eb_core.settling.relaxer import Relaxer
from eb_core.testing import (
    device_closing,
    device_declaration,
    device_forces,
    device_measures,
    device_reads,
    device_refusals,
    device_starts,
    device_twin,
)
from eb_core.testing.defaults import default_first, default_part
from eb_core.testing.device_bench import IDEAL, Bench
from eb_core.testing.device_judging import DeviceCheck, run_check
from eb_core.testing.kit import Check, Suite, require_all, run_suite
from eb_core.testing.report import Report, versions_of

FIRST: Final[Sequence[DeviceCheck]] = (
    ("declaration", "the capabilities make sense with each other and with the physics", device_declaration.declaration),
    ("settles", "a net that fits is accepted, and settles free and nudged", device_declaration.settles),
)
"""Where one of them fails there is nothing more to look at."""

CHECKS: Final[Sequence[DeviceCheck]] = (
    ("probe", "what the device says of itself is at least what is declared", device_declaration.probed),
    ("all units", "every unit that is declared settles under a field of its own", device_declaration.every_unit),
    ("too many units", "one unit more than there are is refused", device_refusals.too_many_units),
    ("wrong wiring", "an edge that there are no wires for is refused", device_refusals.wrong_wiring),
    ("wrong phases", "clamps and nudges that are not offered are refused unsent", device_refusals.wrong_phases),
    ("clipping", "a coupling out of range is cut, counted, and told", device_refusals.clipping),
    ("weights arrive", "new weights lead elsewhere, old ones back", device_forces.weights_arrive),
    ("zero couplings", "without couplings each unit is at its own minimum", device_forces.zero_couplings),
    ("couplings act", "units answer each other as the couplings say", device_forces.couplings_act),
    ("symmetric couplings", "couplings are the same both ways", device_forces.couplings_are_symmetric),
    ("biases pull", "a bias moves its unit, with its sign", device_forces.biases_pull),
    ("inputs pull", "an input moves the unit that it drives, and no other one", device_forces.inputs_pull),
    ("nudges pull", "outputs move to the target, or away, in proportion to beta", device_forces.nudges_pull),
    ("clamps hold", "other units settle beside units that are held", device_forces.clamps_hold),
    ("reset forgets", "a phase without a start forgets what was before", device_starts.reset_forgets),
    ("last goes on", "a phase can go on where the device stands", device_starts.last_goes_on),
    ("write starts there", "a phase starts at the state that is handed over", device_starts.write_starts_there),
    ("left alone", "weights, inputs and start states are not changed", device_starts.left_alone),
    ("samples alone", "a batch settles as its samples do alone", device_reads.samples_alone),
    ("long batches", "more samples than fit are cut and come back in order", device_reads.long_batches),
    ("stacked phases", "phases as one batch end as one after the other", device_reads.stacked_phases),
    ("levels", "the read-out has as many levels as declared", device_reads.levels),
    ("read-out noise", "reads scatter about as much as declared", device_reads.noise),
    ("same twice", "the same drive leads to the same state", device_reads.same_twice),
    ("goes on", "what a checkpoint keeps of it leads on", device_closing.goes_on),
    ("closes", "it closes after use, twice, and after an error", device_closing.closes),
    ("deadline", "cut off in the middle, or killed, it opens anew", device_closing.deadline),
    ("residual", "force that is left in settled states", device_measures.residual),
    ("gradient", "the gradient of centred EP is the exact one, as far as it is read", device_measures.gradient),
    ("losses", "what each declared loss takes from the gradient, on an emulated twin", device_twin.losses),
)


def backend_suite(
    backend: DeviceBackend,
    energy: Energy | None = None,
    *,
    seed: int = 0,
    accuracy: float = 0.05,
    cosine: float | None = None,
    relaxer: Relaxer | None = None,
) -> Suite:
    """The checks of a device, one test for each; see `check_backend`."""
    energy = energy or energy_for(Registry.installed(), backend)
    return suite_on(Bench(backend, energy, accuracy, seed, relaxer or IDEAL, cosine))


def check_backend(
    backend: DeviceBackend,
    energy: Energy | None = None,
    *,
    seed: int = 0,
    accuracy: float = 0.05,
    cosine: float | None = None,
    relaxer: Relaxer | None = None,
) -> int:
    """Check a device against its own declaration, from inside and from outside; returns the number of cases.

    * its capabilities are consistent; what fits settles, with all units that there are; what does not is refused;
    * couplings, biases, inputs, nudges and clamps act as they should; a phase starts where it says;
    * samples do not see each other, and come back in order; levels and noise of the read-out are as declared;
    * it closes, and opens again; its gradient is as near to the exact one as its read-out allows.

    Args:
        backend: the device, as it would be trained on.
        energy: its physics; default: the installed one whose `unit` is that of the device.
        seed: of all nets and samples.
        accuracy: how far a state may be from that of an ideal device, in widths of its range, beside declared noise.
        cosine: of the gradient with the exact one, which the lower end of a 95 % interval must reach; default: at most
            0.1 less than an ideal device has whose states are read with the declared noise and levels.
        relaxer: what settles the units of a backend that has no dynamics of its own, such as an emulator; default:
            one layer after the other at its minimum, to the end.

    Raises:
        ConformanceError: with every check that failed, or because none applied.
        UsageError: there is no energy for it.
    """
    suite = backend_suite(backend, energy, seed=seed, accuracy=accuracy, cosine=cosine, relaxer=relaxer)
    return require_all(suite, backend.named(backend.capabilities()))


def energy_for(registry: Registry, backend: DeviceBackend) -> Energy:
    """The installed energy whose unit is that of the device: the default one if it fits, else the first one by name.

    Raises:
        UsageError: there is none.
    """
    unit, units = backend.capabilities().unit, []
    for name in default_first(registry, "energy"):
        try:
            energy: Energy = default_part(registry, "energy", name)
        except UsageError:
            continue
        units.append(energy.unit)
        if unit in (energy.unit, ANY):
            return energy
    raise UsageError(
        f"units of the device are '{unit}', and no energy that is installed has such units",
        origin="--energy",
        advice=f"install one, or name one; units of those that are here: {', '.join(sorted(set(units))) or 'none'}",
    )


def suite_on(bench: Bench) -> Suite:
    """All checks of a device on its bench."""

    def bound(check: DeviceCheck, *, is_first: bool) -> Check:
        name, promise, _ = check
        return Check(name, promise, functools.partial(run_check, bench, check), is_first)

    return (*(bound(check, is_first=True) for check in FIRST), *(bound(check, is_first=False) for check in CHECKS))


def certify(bench: Bench, before: Callable[[str], None] = lambda name: None) -> Report:
    """Run every check; `before` is told the name of each."""
    results = run_suite(suite_on(bench), before)
    said = bench.capabilities
    capabilities = {key: value for key, value in attrs.asdict(cast(Any, said)).items() if value not in (None, "", {})}
    facts = {
        "serial": said.serial or bench.serial,
        "energy": type(bench.energy).__name__,
        "dynamics": bench.dynamics,
        "seed": bench.seed,
        "accuracy": bench.accuracy,
        "capabilities": capabilities,
        "usage": bench.usage,
    }
    versions = versions_of(bench.backend, bench.energy, bench.relaxer)
    return Report(bench.backend.named(said), "backend", results, facts, versions)
