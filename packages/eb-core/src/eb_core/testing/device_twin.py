"""What each loss of a device costs, told by an emulated twin: the same capabilities, each loss switched off in turn.

A chip cannot be asked what its gradient would be with more bits; a simulation of one can. These are figures of the
twin, not of the chip: what the chip lacks beyond them is not in its declaration.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from eb_core.device.backend import DeviceBackend
from eb_core.device.capabilities import Capabilities, written
from eb_core.registry import EbError, Registry, fields
from eb_core.testing.device_bench import Bench
from eb_core.testing.device_measures import bootstrap, compared, interval, trials
from eb_core.testing.report import Measured, SkippedError, words

EMULATOR = "emulator"
"""Name of the backend that emulates a chip of any capabilities."""
WIDER = 3
"""Bits that a range grows by where clipping is switched off; steps stay as they are."""
TWIN = "cosine of the emulated twin"


def losses(bench: Bench) -> Iterator[Measured]:
    """The cosine of the twin with the exact gradient of the net as asked for, and the same without each loss."""
    registry = bench.registry or Registry.installed()
    if EMULATOR not in registry.names("backend"):
        raise SkippedError("no emulator is installed for a twin of it: eb-backend-emulator")
    emulator: type[DeviceBackend] = registry.load("backend", registry.find("backend", EMULATOR))
    options, faults = _told(bench.backend, emulator)
    trials(bench)
    with tempfile.TemporaryDirectory() as folder:

        def cosines(said: Capabilities, **changed: Any) -> Mapping[int, float]:
            path = Path(folder) / "twin.toml"
            path.write_text(written(said), encoding="utf-8")
            known = {"probed": str(path), "reads": bench.backend.reads, "allow_lossy": True, **options}
            return {index: one.asked for index, one in compared(bench, emulator(**{**known, **changed})).items()}

        try:
            whole, clips = cosines(bench.capabilities), bool(bench.twin_usage.get("clipped"))
            without = _without(bench.capabilities, clips)
            if not without and not faults:
                raise SkippedError("nothing that it declares loses anything")
            yield _measured(bench, TWIN, whole, whole)
            for name, said in without.items():
                yield _measured(bench, f"{TWIN} without {name}", cosines(said), whole)
            for name, default in faults.items():
                part = cosines(bench.capabilities, **{name: default})
                yield _measured(bench, f"{TWIN} without {name} = {options[name]:g}", part, whole)
        except EbError as error:
            raise SkippedError(f"the emulator refuses a twin of it: {words(error)}") from error


def _measured(bench: Bench, name: str, part: Mapping[int, float], whole: Mapping[int, float]) -> Measured:
    """A mean over the nets that both have, and what it is more than that of the whole."""
    both = [index for index in part if index in whole]
    text = ""
    if part is not whole:
        mean, low, high = bootstrap([part[index] - whole[index] for index in both], bench.seed)
        text = f"{mean:+.2g}, from {low:+.2g} to {high:+.2g}"
    return Measured(name, *bootstrap([part[index] for index in both], bench.seed), interval(len(both)), text=text)


def _without(said: Capabilities, clips: bool) -> Mapping[str, Capabilities]:
    """Name of each loss that is declared -> the capabilities without it."""
    made = cast(Any, said)
    found: dict[str, Capabilities] = {
        f"{name} = {getattr(said, name)}": attrs.evolve(made, **{name: None})
        for name in ("weight_bits", "field_bits", "readout_bits")
        if getattr(said, name) is not None
    }
    if said.readout_noise:
        found[f"readout_noise = {said.readout_noise:g}"] = attrs.evolve(made, readout_noise=0.0)
    wider: dict[str, Any] = {}
    for part in ("weight", "field"):
        ends, bits = getattr(said, f"{part}_range"), getattr(said, f"{part}_bits")
        if ends is not None:
            wider[f"{part}_range"] = tuple(2**WIDER * end for end in ends)
            wider[f"{part}_bits"] = None if bits is None else min(bits + WIDER, 52)
    if wider and clips:
        found["clipping"] = attrs.evolve(made, **wider)
    return found


def _told(backend: DeviceBackend, emulator: type[DeviceBackend]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What an emulator was told beyond its capabilities, and those parts of it that are losses; nothing of a device.

    A loss is a number that is 0.0 or none by default: others, such as a seed, say which chip it is.
    """
    if not isinstance(backend, emulator):
        return {}, {}
    known = {field.name for cls in (DeviceBackend, Capabilities) for field, _ in fields(cls)}
    told_of, lost = {}, {}
    for field, _ in fields(emulator):
        value, default = getattr(backend, field.name), getattr(emulator(), field.name)
        if field.name in known or value == default or not isinstance(value, int | float):
            continue
        told_of[field.name] = value
        if default is None or (isinstance(default, float) and default == 0):
            lost[field.name] = default
    return told_of, lost
