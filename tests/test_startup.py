"""Starting up is light: what needs no network imports no torch. No clock is read; only what was imported counts."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "sklearn", "safetensors")

SCRIPT = f"""
import json, sys
from eb_core.cli.main import main
sys.argv = ["eb", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    print(json.dumps([ended.code, sorted(set({HEAVY!r}) & set(sys.modules))]), file=sys.stderr)
"""


def imported(*line: str, **variables: str) -> tuple[int, list[str], str]:
    """Exit code, heavy modules in memory at the end, and stdout of a command in a fresh process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EB_")} | variables
    command = [sys.executable, "-W", "error", "-c", SCRIPT, *line]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=120)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, modules, done.stdout


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (["--help"], "list-plugins"),
        (["--version"], "eb-core"),
        (["list-plugins"], "eb-dynamics-hopfield"),
        (["list-plugins", "--json"], '"distribution": "eb-rules"'),
        (["train", "--help"], "--dataset"),
        (["describe", "recipe", "mlp"], "[model]"),
    ],
)
def test_commands_that_need_no_network_import_no_torch(line: list[str], shown: str) -> None:
    code, modules, stdout = imported(*line)
    assert code in (0, None)
    assert modules == []
    assert shown in stdout


def test_shell_completion_imports_no_torch() -> None:
    asked = {"_EB_COMPLETE": "complete_bash", "COMP_WORDS": "eb train --relaxer hop", "COMP_CWORD": "3"}
    code, modules, stdout = imported(**asked)
    assert code in (0, None)
    assert {"hopfield", "hopfield-sync"} <= set(stdout.split())
    assert all(name.startswith("hop") for name in stdout.split())
    assert modules == []


def test_this_file_would_notice_an_import() -> None:
    _, modules, _ = imported("describe", "cost", "squared-error")
    assert "torch" in modules
