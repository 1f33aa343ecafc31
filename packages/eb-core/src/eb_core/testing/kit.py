"""One kit behind three doors: a suite of named checks of one component.

    from eb_core.testing import relaxer_suite

    @pytest.mark.parametrize("check", relaxer_suite(MyFlow()), ids=str)
    def test_my_flow_keeps_its_promises(check):
        check()

`eb check KIND:NAME` runs the same suite and prints what each check found; `report_on` returns it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from eb_core.testing.report import CheckResult, Report, SkippedError, versions_of, words
from eb_core.testing.verdict import ConformanceError, counted


@attrs.frozen(eq=False)
class Check:
    """One promise of one component.

    Args:
        name: of the check, in the field's words.
        promise: what is checked.
        run: looks, and says what it found; it raises nothing.
        is_first: where it fails there is nothing more to look at.
    """

    name: str
    promise: str
    run: Callable[[], CheckResult]
    is_first: bool = False

    def __str__(self) -> str:
        return self.name

    def __call__(self) -> None:
        """Run it as a test.

        Raises:
            ConformanceError: the promise does not hold.
            SkippedError: it does not apply.
        """
        found = self.run()
        if found.verdict == "failed":
            raise ConformanceError(f"{self.promise}: {found.text}")
        if found.verdict == "skipped":
            raise SkippedError(found.text)


Suite = Sequence[Check]


def check_of(name: str, promise: str, look: Callable[[], object], *, is_first: bool = False) -> Check:
    """A check whose `look` raises what is wrong; its cases are the promises that it asks for with `require`."""

    def run() -> CheckResult:
        started = time.perf_counter()
        with counted() as cases:
            verdict, text = "passed", ""
            try:
                look()
            except SkippedError as skipped:
                verdict, text = "skipped", str(skipped)
            except Exception as error:  # noqa: BLE001 - a broken component may raise anything: it is what was found
                verdict, text = "failed", str(error) if isinstance(error, ConformanceError) else words(error)
        if verdict == "passed" and not cases:
            verdict, text = "failed", "it looked at nothing"
        return CheckResult(name, promise, verdict, len(cases), text, {}, time.perf_counter() - started)  # type: ignore[arg-type]

    return Check(name, promise, run, is_first)


def run_suite(suite: Suite, before: Callable[[str], None] = lambda name: None) -> list[CheckResult]:
    """Run all checks; `before` is told the name of each. After a first one that failed the rest is skipped."""
    results: list[CheckResult] = []
    failed = ""
    for check in suite:
        if failed:
            results.append(CheckResult(check.name, check.promise, "skipped", 0, f"'{failed}' failed"))
            continue
        before(check.name)
        results.append(check.run())
        if check.is_first and results[-1].verdict == "failed":
            failed = check.name
    return results


def report_on(
    kind: str,
    component: object,
    suite: Suite,
    facts: Mapping[str, Any] | None = None,
    before: Callable[[str], None] = lambda name: None,
) -> Report:
    """Run a suite and report what it found of a component.

    Args:
        kind: of the component.
        component: what is checked.
        suite: its checks.
        facts: what it is checked with, by name.
        before: told the name of each check.
    """
    results = run_suite(suite, before)
    return Report(str(component), kind, results, facts or {}, versions_of(component))


def require_all(suite: Suite, subject: str) -> int:
    """Run a suite; returns the number of cases.

    Raises:
        ConformanceError: with every check that failed, or because none applied.
    """
    results = run_suite(suite)
    failed = [f"{one.name}: {one.text}" for one in results if one.verdict == "failed"]
    if failed or not any(one.verdict == "passed" for one in results):
        raise ConformanceError(f"{'; '.join(failed) or 'no check applied to it'}  [{subject}]")
    return sum(one.cases for one in results)
