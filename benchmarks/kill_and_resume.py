"""Kill a training at random moments and resume it: does it end as if nothing had happened?

    python benchmarks/kill_and_resume.py KILLS [--epochs N] [--seed N]

A small MLP learns the digits, with `--threads 1` and a checkpoint every five batches. One run is left alone; others get
SIGKILL at random moments and go on with `eb train --resume` until KILLS kills are done and the last one has finished.
Weights, metrics and manifest of every run must equal those of the first one, bit for bit, apart from times.
Exit code 1 if one does not.
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

EB = [sys.executable, "-c", "from eb_core.cli.main import main; main()"]
TIMES = ("started", "ended", "process", "resumed")


def say(line: str) -> None:
    """A line of the table."""
    print(line, flush=True)


def start(*line: str) -> "subprocess.Popen[str]":
    """`eb train …` as a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    silent = subprocess.DEVNULL
    return subprocess.Popen([*EB, "train", *line], env=environment, stdout=silent, stderr=subprocess.PIPE, text=True)


def begun(process: "subprocess.Popen[str]", folder: Path) -> Path | None:
    """The run directory, once the process has written its manifest; None if it ended first."""
    while process.poll() is None:
        for path in folder.glob("*/manifest.json"):
            if json.loads(path.read_text())["process"]["pid"] == process.pid:
                return path.parent
        time.sleep(0.005)
    return None


def ended(process: "subprocess.Popen[str]") -> None:
    """Wait for the end, which must be a good one."""
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


def kill_and_resume(kills: int, epochs: int, seed: int, folder: Path) -> int:
    """Do it and print a table; the number of runs that differ."""
    chance = random.Random(seed)
    flags = ["--threads", "1", "--epochs", str(epochs), "--model-opt", "hidden=[16]", "--trainer-opt"]
    flags += ["checkpoint_batches=5", "--out"]
    ended(start(*flags, str(folder / "whole")))
    (whole,) = (folder / "whole").iterdir()
    expected = outcome(whole)
    seconds = sum(json.loads(line)["seconds"] for line in (whole / "metrics.jsonl").read_text().splitlines())
    say(f"a run that nobody kills trains for {seconds:.1f} s in {epochs} epochs; seed of the kills: {seed}")
    say("kill   run   lived s   left behind")
    done = differ = run = 0
    while done < kills:
        run += 1
        place = folder / f"killed-{run}"
        process = start(*flags, str(place))
        path = begun(process, place)
        while path is not None and done < kills:
            life = chance.uniform(0, 2 * seconds / kills)
            try:
                process.wait(life)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if read_manifest(path)["status"] == "finished":
                break  # the kill, if there was one, came after the last file was written
            if process.returncode != -signal.SIGKILL:
                ended(process)
            done += 1
            say(f"{done:4d}  {run:4d}   {life:7.2f}   {left_behind(path)}")
            process = start("--resume", str(path))
            begun(process, place)
        else:
            ended(process)
        assert path is not None, "a process that ended well has begun"
        wrong = [name for name, value in outcome(path).items() if value != expected[name]]
        differ += bool(wrong)
        say(f"      {run:4d}   finished: {'differs in ' + ', '.join(wrong) if wrong else 'identical'}")
    return differ


def left_behind(path: Path) -> str:
    """What the kill left."""
    manifest = read_manifest(path)
    where = "no checkpoint yet"
    if (path / CHECKPOINT).exists():
        position = Checkpoint.read(path / CHECKPOINT).position
        where = f"checkpoint after epoch {position['epochs']}, batch {position['batches']}"
    torn = ", a torn temporary file" if list(path.glob(".*")) else ""
    return f"{status_of(manifest)}, {len(read_metrics(path))} lines of metrics, {where}{torn}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill-and-resume-"))
    try:
        seed = random.randrange(10**6) if asked.seed is None else asked.seed
        differ = kill_and_resume(asked.kills, asked.epochs, seed, folder)
    finally:
        shutil.rmtree(folder)
    say(f"{asked.kills} kills, {differ} runs that differ")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
