"""Sums of what was used of a device, by name: what was added, what there is in all, and how it is told.

Whoever reads or shows them needs neither numpy nor torch.
"""

from collections.abc import Mapping
from typing import Final

KNOWN: Final = ("settles", "samples", "programs", "seconds", "retries", "reopened", "clipped", "joules")
"""The sums that have words of their own."""


def since(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What was added to `before`, without what did not change."""
    return {name: value - before.get(name, 0) for name, value in now.items() if value != before.get(name, 0)}


def together(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """The sum of both."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *(set(other) - set(one)))}


def in_words(usage: Mapping[str, float]) -> str:
    """One line that can be read: device 12.4 s, 3,234 settles of 207,000 samples, 360 programmings, 2 retries, 37 J."""
    said = [f"device {duration(usage['seconds'])}"] if "seconds" in usage else []
    if "settles" in usage:
        said.append(f"{_counted(usage, 'settles', 'settle')} of {_counted(usage, 'samples', 'sample')}")
    for name, one in (("programs", "programming"), ("retries", "retry"), ("reopened", "time")):
        if name in usage:
            said.append(("opened anew " if name == "reopened" else "") + _counted(usage, name, one))
    said += [f"{usage['joules']:.3g} J"] if "joules" in usage else []
    said += [f"{usage['clipped']:,} clipped"] if "clipped" in usage else []
    others = {name: value for name, value in usage.items() if name not in KNOWN}
    return ", ".join([*said, *(f"{name} {value:,.6g}" for name, value in others.items())])


def _counted(usage: Mapping[str, float], name: str, one: str) -> str:
    many = f"{one.removesuffix('y')}ies" if one.endswith("ry") else f"{one}s"
    return f"{usage.get(name, 0):,} {one if usage.get(name) == 1 else many}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it: 1 us, 2 ms, 12.4 s, 41 min, 3.2 h."""
    if seconds == 0:
        return "0 s"
    for unit, size, most in (("us", 1e-6, 1e-3), ("ms", 1e-3, 1.0), ("s", 1.0, 120.0), ("min", 60.0, 7200.0)):
        if seconds < most:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3600:,.3g} h" if seconds < 3.6e6 else f"{seconds / 3600:,.0f} h"
