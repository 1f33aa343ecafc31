"""Run thousands of inputs in workers that may die, and report.

    python benchmarks/fuzz/fuzz_commands.py --count 7000 --seed 1 --json commands.json
    python benchmarks/fuzz/fuzz_commands.py --seed 1 --only 17        one input again, with all it printed

A worker, forked once, runs many inputs in one process; if an input ends it or stops it for good, the next one takes
over. A worker of root's gives up its capabilities, so that permissions count.
"""

import argparse
import contextlib
import ctypes
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from fuzz_scene import Scene
from fuzz_values import Known
from fuzzing import Finding, Fuzzer, Report, drawn, run, short, smaller

from eb_core import Registry

IN_MEMORY, MEMORY, PATIENCE = "/dev/shm", 4 << 30, 120


def limit_memory() -> tuple[int, int]:
    """Let this process take so much more than it has; the limits before."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    return before


def supervised(kind: type[Fuzzer], seed: int, indices: range) -> Report:
    """Run inputs in workers; one that dies or does not come back is a finding."""
    report, fuzzer = Report(), kind(Known(Registry.installed()))
    folder = Path(tempfile.mkdtemp(prefix="eb-fuzz-", dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None))
    context, todo = multiprocessing.get_context("fork"), indices
    try:
        while todo:
            receiver, sender = context.Pipe(duplex=False)
            worker = context.Process(target=_work, args=(sender, fuzzer, seed, todo, {*report.findings}, folder))
            worker.start()
            sender.close()
            begun = _listen(receiver, report, todo)
            worker.join(5)
            silent = worker.is_alive()
            worker.kill()
            worker.join()
            if begun is not None:
                how = f"no answer for {PATIENCE} s" if silent else f"exit code {worker.exitcode}"
                report.add(begun, "died", [("died", how)], short(str(drawn(fuzzer, seed, begun).parts)))
            todo = range(indices.start + sum(report.outcomes.values()), indices.stop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _listen(receiver: Connection, report: Report, todo: range) -> int | None:
    """Take down what a worker says until it ends; the input that it began and did not end."""
    begun = None
    with contextlib.suppress(EOFError):
        while receiver.poll(PATIENCE):
            what, index, *rest = receiver.recv()
            begun = index if what == "begin" else None
            if what == "fault":
                raise RuntimeError(f"the fuzzer is at fault:\n{rest[0]}")
            if what == "end":
                report.add(index, *rest)
            elif what == "smaller":
                report.findings[rest[0]]["example"] = rest[1]
            if index % 500 == 499 and what == "end":
                print(f"{index + 1} of {todo.stop}: {len(report.findings)} findings", file=sys.stderr, flush=True)
    return begun


def _work(sender: Connection, fuzzer: Fuzzer, seed: int, todo: range, known: set[Finding], folder: Path) -> None:
    """A worker's life; a fault of the fuzzer itself ends everything."""
    try:
        _work_through(sender, fuzzer, seed, todo, known, folder)
    except Exception:  # noqa: BLE001 - it is handed on
        sender.send(("fault", todo.start, traceback.format_exc()))


def _work_through(
    sender: Connection, fuzzer: Fuzzer, seed: int, todo: range, known: set[Finding], folder: Path
) -> None:
    scene = settle_in(folder / "scene")
    for index in todo:
        sender.send(("begin", index))
        case = drawn(fuzzer, seed, index)
        result = run(fuzzer, case, scene)
        sender.send(("end", index, result.outcome, result.findings, result.shown))
        if result.seen.hung:
            break  # what was interrupted may have been left in the middle
        for finding in {*result.findings} - known:
            example = smaller(fuzzer, case, finding, scene)
            if example:
                sender.send(("smaller", index, finding, example))
        known |= {*result.findings}


def settle_in(folder: Path) -> Scene:
    """Make this process a worker: with a home, a limit of memory, and no more rights than anybody."""
    sys.dont_write_bytecode = True
    if os.geteuid() == 0:
        _obey_permissions()
    scene = Scene(folder)
    os.environ |= scene.environment
    sys.path.append(str(folder / "on_path"))
    limit_memory()
    return scene


def _obey_permissions() -> None:
    """Give up root's right to read and write what its permissions forbid (all capabilities, Linux only)."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None, use_errno=True).capset(header, none)


def main(kind: type[Fuzzer], doc: str | None) -> None:
    """The command line of a fuzzer; exit code 1 if anything was found."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run this input alone and show what it printed")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    began = time.monotonic()
    if asked.only is not None:
        fuzzer = kind(Known(Registry.installed()))
        with tempfile.TemporaryDirectory() as folder:
            scene = settle_in(Path(folder) / "scene")
            case = drawn(fuzzer, asked.seed, asked.only)
            result = run(fuzzer, case, scene)
        print(case, result.shown, result.seen.out, result.seen.err, result.seen.code, result.findings, sep="\n")
        return
    report = supervised(kind, asked.seed, range(asked.count))
    seconds = time.monotonic() - began
    print(f"{kind.__name__}: {asked.count} inputs, seed {asked.seed}, {seconds:.0f} s\n{report}")
    if asked.json:
        facts = {"kind": kind.__name__, "count": asked.count, "seed": asked.seed, "seconds": seconds}
        asked.json.write_text(json.dumps(facts | report.record(), indent=2) + "\n")
    sys.exit(1 if report.findings else 0)
