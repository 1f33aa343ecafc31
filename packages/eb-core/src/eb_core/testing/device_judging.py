"""One check of a device: what it looked at, and the verdict on that."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from eb_core.testing.device_bench import Bench
from eb_core.testing.report import Case, CheckResult, Measured, SkippedError, Verdict, words

Found = Iterator[Case | Measured]
DeviceCheck = tuple[str, str, Callable[[Bench], Found]]
"""Name, what is promised, and the function that looks."""
CUTTING: Final = ("clipping", "gradient")
"""Checks that are judged though something was cut: one looks for it, the other for what it costs."""


def run_check(bench: Bench, check: DeviceCheck) -> CheckResult:
    """Run one check; whatever a device raises is a failure of that check."""
    name, promise, look = check
    cases: list[Case] = []
    figures: list[Measured] = []
    reason, raised, started = "", False, time.perf_counter()
    before = bench.usage.get("clipped", 0)

    def ended(verdict: Verdict, text: str) -> CheckResult:
        numbers = dict(_numbers(cases, figures))
        taken = time.perf_counter() - started
        return CheckResult(name, promise, verdict, len(cases) + len(figures), text, numbers, taken)

    try:
        for found in look(bench):
            cases.append(found) if isinstance(found, Case) else figures.append(found)
    except SkippedError as skipped:
        if not cases and not figures:
            return ended("skipped", str(skipped))
        reason = f"and no more, as {skipped}"
    except Exception as error:  # noqa: BLE001 - a broken device may raise anything: it is what was found
        cases.append(Case(words(error), False))
        raised = True
    bad = [one.told() for one in cases if not one.holds] + [_figure(one) for one in figures if _falls_short(one)]
    cut = int(bench.usage.get("clipped", 0) - before)
    if bad and cut and not raised and name not in CUTTING:
        return ended("skipped", f"it tells nothing: {cut:,} fields beyond the range of the device were cut")
    if bad:
        more = f"; {len(bad)} of {len(cases) + len(figures)} failed" if len(cases) + len(figures) > 1 else ""
        return ended("failed", "\n".join([bad[0] + more, *(_figure(one) for one in figures if not _falls_short(one))]))
    if not cases and not figures:
        return ended("failed", "it looked at nothing")
    judged = bool(cases) or any(one.least is not None for one in figures)
    return ended(
        "passed" if judged else "measured", "\n".join([*_lines(cases, figures), *([reason] if reason else [])])
    )


def _falls_short(one: Measured) -> bool:
    return one.least is not None and not one.low >= one.least


def _numbers(cases: Sequence[Case], figures: Sequence[Measured]) -> Iterator[tuple[str, float]]:
    worst = _worst(cases)
    if worst is not None:
        yield from (("off", worst.off), ("allowed", worst.allowed))
    for one in figures:
        yield from ((one.name, one.value), (f"{one.name}, low", one.low), (f"{one.name}, high", one.high))
        if one.least is not None:
            yield f"{one.name}, at least", one.least


def _figure(one: Measured) -> str:
    limit = f"; at least {one.least:.4g} at the lower end" if one.least is not None else ""
    return f"{one.name}: {one.value:.4g} ({one.low:.4g} … {one.high:.4g}){limit}" + (
        f"; {one.text}" if one.text else ""
    )


def _worst(cases: Sequence[Case]) -> Case | None:
    """The case that came nearest to failing, of those that are numbers."""
    return max((one for one in cases if one.allowed > 0), key=lambda one: one.off / one.allowed, default=None)


def _lines(cases: Sequence[Case], figures: Sequence[Measured]) -> Iterator[str]:
    """What was found: every figure, or the worst case."""
    worst = _worst(cases)
    if worst is not None:
        yield f"off by {worst.off:.1g} at most, allowed {worst.allowed:.2g}"
    yield from map(_figure, figures)
    if figures:
        yield figures[0].interval
