"""A few hundred damaged files of every kind; `benchmarks/fuzz/fuzz_data.py` makes as many as one likes."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "fuzz" / "fuzz_data.py"
COUNTS = ["npz=80", "csv=80", "idx=80", "cifar=20", "tar=10", "mat=10"]


def test_files_damaged_at_random_load_or_are_refused_with_one_error() -> None:
    command = [sys.executable, str(SCRIPT), "--seed", "1", "--counts", *COUNTS]
    run = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    counted = {kind: list(map(int, numbers)) for kind, *numbers in map(str.split, run.stdout.splitlines()[1:-1])}
    assert {f"{kind}={sum(numbers)}" for kind, numbers in counted.items()} == {*COUNTS}
    assert all(loaded and refused for loaded, refused, *_ in counted.values()), "some are harmless, most are not"
