"""End a training at random moments and resume it: does it end as if nothing had happened?

    python benchmarks/kill_and_resume.py KILLS [--terms N] [--doubles N] [--epochs N] [--seed N]

A small MLP learns the digits, with `--threads 1` and a checkpoint after every batch. One run is left alone; in others
each process is ended, at a random moment after its first batch, by SIGKILL, by SIGTERM, or by Ctrl-C twice within half
a second. They go on with `eb train --resume` until all ends are used up and the last run has finished.
Weights, metrics and manifest of every run must equal those of the first one, bit for bit, apart from times.
SIGTERM and Ctrl-C must leave a run that is `interrupted`, exit code 128 + number, the line that says how to go on, and
no traceback. Exit code 1 if anything is otherwise.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from eb_core.training.checkpoint import Checkpoint
from eb_core.training.manifest import CHECKPOINT, read_manifest, read_metrics, status_of

HEEDED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A shell starts what is in the background with Ctrl-C ignored."""
EB = [sys.executable, "-c", f"{HEEDED}; from eb_core.cli.entry import main; main()"]
TIMES = ("started", "ended", "process", "resumed")
NUMBERS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C twice": signal.SIGINT}


def say(line: str) -> None:
    """A line of the table."""
    print(line, flush=True)


def start(*line: str) -> "subprocess.Popen[str]":
    """`eb train …` as a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    silent = subprocess.DEVNULL
    return subprocess.Popen([*EB, "train", *line], env=environment, stdout=silent, stderr=subprocess.PIPE, text=True)


def begun(process: "subprocess.Popen[str]", folder: Path) -> Path | None:
    """The run directory, once the process has finished a batch; None if it ended first."""
    before = None
    while process.poll() is None:
        for path in folder.glob("*/manifest.json"):
            manifest, checkpoint = json.loads(path.read_text()), path.parent / CHECKPOINT
            if manifest["process"]["pid"] == process.pid and manifest["status"] == "running":
                stamp = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
                before = stamp if before is None else before
                if stamp > before:
                    return path.parent
        time.sleep(0.002)
    return None


def ended(process: "subprocess.Popen[str]") -> None:
    """Wait for the end, unless somebody has; it must be a good one."""
    if process.stderr is None or process.stderr.closed:
        return
    _, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(f"eb train ended with {process.returncode}:\n{errors}")


def outcome(path: Path) -> dict[str, Any]:
    """What must be equal, file by file."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    manifest = json.loads((path / "manifest.json").read_text())
    return {
        "weights": (path / "weights.safetensors").read_bytes(),
        "metrics": [{name: value for name, value in line.items() if name != "seconds"} for line in lines],
        "manifest": {name: value for name, value in manifest.items() if name not in TIMES},
        "files": sorted(file.name for file in path.iterdir() if file.name != CHECKPOINT),
    }


def end(process: "subprocess.Popen[str]", how: str, chance: random.Random) -> str:
    """End it; what it says on stderr."""
    process.send_signal(NUMBERS[how])
    if how == "Ctrl-C twice":
        time.sleep(chance.uniform(0, 0.5) ** 2)
        process.send_signal(NUMBERS[how])
    return process.communicate()[1]


def faults(path: Path, how: str, code: int, said: str) -> list[str]:
    """What is not as it should be after an end that is no kill."""
    if how == "SIGKILL":
        return [] if code == -signal.SIGKILL else [f"exit code {code}"]
    manifest = read_manifest(path)
    checks = {
        f"exit code {code}": code == 128 + NUMBERS[how],
        f"status {manifest['status']}": manifest["status"] == "interrupted",
        f"reason {manifest.get('reason')}": manifest.get("reason") == NUMBERS[how].name,
        "no word on how to go on": f"eb train --resume {path}" in said,
        "a traceback": "Traceback" not in said,
    }
    return [what for what, good in checks.items() if not good]


def kill_and_resume(ends: list[str], epochs: int, chance: random.Random, folder: Path) -> int:
    """Do it and print a table; the number of runs that differ and of ends that were not in order."""
    flags = ["--threads", "1", "--epochs", str(epochs), "--model-opt", "hidden=[16]", "--trainer-opt"]
    flags += ["checkpoint_batches=1", "--out"]
    ended(start(*flags, str(folder / "whole")))
    (whole,) = (folder / "whole").iterdir()
    expected = outcome(whole)
    seconds = sum(json.loads(line)["seconds"] for line in (whole / "metrics.jsonl").read_text().splitlines())
    say(f"a run that nobody ends trains for {seconds:.1f} s in {epochs} epochs")
    say(" end   run   ended by       left behind")
    chance.shuffle(ends)
    total, wrong, run = len(ends), 0, 0
    life = 2 * seconds * max(1, total // 10) / total  # so that ten or so ends fall into each run
    while ends:
        run += 1
        place = folder / f"ended-{run}"
        process = start(*flags, str(place))
        path = begun(process, place)
        while ends and path is not None:
            time.sleep(chance.uniform(0, life))
            said = end(process, ends[-1], chance)
            if read_manifest(path)["status"] == "finished":
                break  # the signal, if there was one, came after the last file was written
            how = ends.pop()
            bad = faults(path, how, process.returncode, said)
            wrong += bool(bad)
            say(f"{total - len(ends):4d}  {run:4d}   {how:12s}   {', WRONG: '.join([left_behind(path), *bad])}")
            process = start("--resume", str(path))
            begun(process, place)
        ended(process)
        (path,) = place.iterdir()
        differs = [name for name, value in outcome(path).items() if value != expected[name]]
        wrong += bool(differs)
        say(f"      {run:4d}   finished: {'differs in ' + ', '.join(differs) if differs else 'identical'}")
    return wrong


def left_behind(path: Path) -> str:
    """What the kill left."""
    manifest = read_manifest(path)
    where = "no checkpoint yet"
    if (path / CHECKPOINT).exists():
        position = Checkpoint.read(path / CHECKPOINT).position
        where = f"checkpoint after epoch {position['epochs']}, batch {position['batches']}"
    torn = ", a torn temporary file" if list(path.glob(".*.part")) else ""
    return f"{status_of(manifest)}, {len(read_metrics(path))} lines of metrics, {where}{torn}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int)
    parser.add_argument("--terms", type=int, default=0)
    parser.add_argument("--doubles", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    counts = dict(zip(NUMBERS, (asked.kills, asked.terms, asked.doubles), strict=True))
    folder = Path(tempfile.mkdtemp(prefix="kill-and-resume-"))
    try:
        seed = random.randrange(10**6) if asked.seed is None else asked.seed
        say(f"seed of the moments: {seed}")
        ends = [how for how, count in counts.items() for _ in range(count)]
        wrong = kill_and_resume(ends, asked.epochs, random.Random(seed), folder)
    finally:
        shutil.rmtree(folder)
    say(
        ", ".join(f"{count} times {how}" for how, count in counts.items() if count) + f": {wrong} not as they should be"
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
