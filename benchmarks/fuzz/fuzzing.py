"""What the fuzzers share: draw an input from a seed, run it, judge it, make an example smaller, count.

Input number i of a seed is always the same. Inputs are run in workers (fuzz_workers.py) or, a few of them, in a test.

Every input ends as `done` (exit code 0), `failed` (1), `refused` (2), `plugin trouble` (3), `budget spent` (75) or
`interrupted` (130), or
is `too big`: it asks for large sizes or counts, was accepted, and did not end in two seconds or within 4 GB.
Beside that, an input may show any of these findings, which are one where kind and place are the same:

    raised, traceback, internal error   an exception that is not said in words
    hang, died                          more than 5 s, twice; the process itself ended
    exit code, silent, long             none of the six; an error without a word, or with more than 20 kB of them
    control characters                  in the output, typed or from a file: what is shown may be copied or sent on
    no JSON, warning                    after --json; a raw warning of Python
    left behind, lost, written outside  a run without manifest or `running`; files gone or written where nobody asked
    not finite                          nan or inf in weights, checkpoint or metrics
    changed                             random state, environment, folder, threads of the process
    imported, called, believed, hidden  what a file must not do: see the fuzzers of recipes and runs

Hypothesis would shrink better, but it stops at what it finds, while the question here is how often each thing happens.
"""

import collections
import contextlib
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from fuzz_scene import Scene
from fuzz_texts import FOREIGN
from fuzz_values import Known
from fuzz_watch import LIMIT, Seen, watch

from eb_core.cli.main import main as eb

HEAVY_LIMIT, TRIES = 2.0, 40
OUTCOMES = {0: "done", 1: "failed", 2: "refused", 3: "plugin trouble", 75: "budget spent", 130: "interrupted"}
Finding = tuple[str, str]


@attrs.frozen
class Case:
    """One input, in parts of which each may be left out; `heavy` if it may rightly take long."""

    parts: tuple[Any, ...]
    heavy: bool = False


class Fuzzer:
    """A kind of inputs."""

    def __init__(self, known: Known) -> None:
        self.known = known

    def draw(self, chance: random.Random) -> Case:
        """An input."""
        raise NotImplementedError

    def prepare(self, case: Case, scene: Scene) -> list[str]:
        """Write its files into `scene.work`, the current folder; the words of the command line."""
        raise NotImplementedError

    def call(self, words: Sequence[str]) -> None:
        """Run it."""
        sys.argv = ["eb", *words]
        eb()

    def shown(self, case: Case, words: Sequence[str]) -> str:
        """The input for the eye."""
        return "eb " + " ".join(short(word) for word in words)

    def faults(self, case: Case, scene: Scene, seen: Seen) -> list[Finding]:
        """Findings that depend on the input."""
        return []


@attrs.frozen
class Result:
    """How an input ended, and what was found."""

    outcome: str
    findings: tuple[Finding, ...]
    shown: str
    seen: Seen


def run(fuzzer: Fuzzer, case: Case, scene: Scene) -> Result:
    """Run one input; one that seems to hang gets a second chance."""
    result = _run(fuzzer, case, scene)
    return _run(fuzzer, case, scene) if any(kind == "hang" for kind, _ in result.findings) else result


def _run(fuzzer: Fuzzer, case: Case, scene: Scene) -> Result:
    scene.sweep()
    with contextlib.chdir(scene.work):
        words = fuzzer.prepare(case, scene)
        before = scene.tree()
        seen = watch(lambda: fuzzer.call(words), HEAVY_LIMIT if case.heavy else LIMIT)
    foreign = {target.partition(":")[0] for target in FOREIGN} & seen.modules
    for module in foreign:
        del sys.modules[module]
    found = [*seen.faults(words), *scene.traces(before, words, returned=not seen.hung)]
    found += fuzzer.faults(case, scene, attrs.evolve(seen, modules=frozenset(foreign)))
    outcome = OUTCOMES.get(seen.code if seen.code is not None else -1, "no exit code")
    if case.heavy and _too_big(seen):
        outcome, found = "too big", [one for one in found if one[0] not in ("hang", "internal error", "raised")]
    return Result(
        "hang" if any(kind == "hang" for kind, _ in found) else outcome,
        (*dict.fromkeys(found),),
        fuzzer.shown(case, words),
        seen,
    )


def _too_big(seen: Seen) -> bool:
    """Whether it was at work when time or memory ran out, not still reading what it was told."""
    if seen.hung:
        return not seen.hung.startswith(("eb_core.cli.choices", "eb_core.cli.render", "eb_core.registry", "nowhere"))
    return isinstance(seen.error, MemoryError) or "alloc" in str(seen.error)


def short(text: str) -> str:
    """A text for the eye: in quotes where that matters, and not too long."""
    if len(text) > 200:
        return f"{text[:40]!r}… ({len(text)} characters)"
    return text if text.isprintable() and text and " " not in text else repr(text)


@attrs.define
class Report:
    """Counts of outcomes, and for each finding how often, and an example."""

    outcomes: collections.Counter[str] = attrs.field(factory=collections.Counter)
    findings: dict[Finding, dict[str, Any]] = attrs.field(factory=dict)

    def add(self, index: int, outcome: str, findings: Sequence[Finding], example: str) -> None:
        """Count one input."""
        self.outcomes[outcome] += 1
        for one in findings:
            self.findings.setdefault(one, {"count": 0, "index": index, "example": example})["count"] += 1

    def __str__(self) -> str:
        kinds = collections.Counter(kind for kind, _ in self.findings)
        lines = [f"{count:6d}  {outcome}" for outcome, count in self.outcomes.most_common()]
        lines += [
            "",
            f"{len(self.findings)} findings: " + ", ".join(f"{kind} {count}" for kind, count in kinds.items()),
        ]
        for (kind, detail), facts in sorted(self.findings.items(), key=lambda item: (item[0][0], -item[1]["count"])):
            lines += [f"{facts['count']:6d}  {kind}: {detail}", f"        #{facts['index']}  {facts['example']}"]
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """Plain values."""
        found = [{"kind": kind, "detail": detail, **facts} for (kind, detail), facts in self.findings.items()]
        return {"outcomes": dict(self.outcomes), "findings": found}


def drawn(fuzzer: Fuzzer, seed: int, index: int) -> Case:
    """Input number `index` of a seed."""
    return fuzzer.draw(random.Random(f"{seed}:{index}"))


def here(fuzzer: Fuzzer, seed: int, indices: Sequence[int], scene: Scene) -> Report:
    """Run inputs in this process, without those that may rightly take long."""
    report = Report()
    for index in indices:
        case = drawn(fuzzer, seed, index)
        if not case.heavy:
            result = run(fuzzer, case, scene)
            report.add(index, result.outcome, result.findings, result.shown)
    return report


def smaller(fuzzer: Fuzzer, case: Case, finding: Finding, scene: Scene) -> str:
    """The same finding with fewer parts and shorter texts."""
    tries, example = TRIES, ""
    for index in [*range(len(case.parts) - 1, -1, -1)] * 2:
        if index < len(case.parts):
            candidates = [(*case.parts[:index], *case.parts[index + 1 :])]
            candidates += [(*case.parts[:index], one, *case.parts[index + 1 :]) for one in _halved(case.parts[index])]
            for parts in candidates:
                if tries and parts:
                    tries -= 1
                    result = run(fuzzer, attrs.evolve(case, parts=parts), scene)
                    if finding in result.findings:
                        case, example = attrs.evolve(case, parts=parts), result.shown
                        break
    return example


def _halved(part: Any) -> Iterator[Any]:
    """A part with one of its long texts cut to half its length."""
    for place, text in enumerate(part if isinstance(part, tuple) else ()):
        if isinstance(text, str) and len(text) > 40:
            yield (*part[:place], text[: len(text) // 2], *part[place + 1 :])
