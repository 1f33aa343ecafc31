"""What a run says of itself in `manifest.json`, and whether that is still true. Reading it needs no torch.

status: running, finished, interrupted (Ctrl-C) or failed; a run whose process is gone while the manifest still says
`running` was killed.
"""

import contextlib
import json
import os
import platform
from pathlib import Path
from typing import Any, Final

from eb_core.registry import UsageError

MANIFEST: Final = "manifest.json"
RECIPE: Final = "recipe.toml"
METRICS: Final = "metrics.jsonl"
WEIGHTS: Final = "weights.safetensors"
CHECKPOINT: Final = "checkpoint.safetensors"
PREDICTIONS: Final = "predictions.npz"
FORMAT: Final = 1


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a run directory.

    Raises:
        UsageError: `path` is no run directory, or its manifest cannot be read.
    """
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} is no run: {error}", origin=str(file), advice="give a directory made by 'eb train'"
        ) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UsageError(f"{file} has a format that this version does not read", advice="upgrade eb-core")
    return manifest


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """One record per epoch that a run has finished; a last line that was cut short is left out."""
    records = []
    with contextlib.suppress(OSError, ValueError):
        for line in (path / METRICS).read_text(encoding="utf-8").splitlines():
            records.append(json.loads(line))
    return records


def this_process() -> dict[str, Any]:
    """Who is writing a run: enough to find out later whether it still is."""
    return {"host": platform.node(), "pid": os.getpid(), "began": _began(os.getpid())}


def status_of(manifest: dict[str, Any]) -> str:
    """The status, or `killed` if it says running and the process is gone; another host's word is taken."""
    status = str(manifest.get("status", "unknown"))
    process = manifest.get("process") or {}
    if status != "running" or process.get("host") != platform.node():
        return status
    return "running" if _is_alive(process["pid"], process.get("began")) else "killed"


def is_written_by_another(manifest: dict[str, Any]) -> bool:
    """Whether a process other than this one may still be writing the run."""
    process = manifest.get("process") or {}
    return status_of(manifest) == "running" and (process.get("host"), process.get("pid")) != (
        platform.node(),
        os.getpid(),
    )


def _is_alive(pid: int, began: str | None) -> bool:
    if os.name != "posix":
        return True  # to ask would end the process there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _began(pid) == began


def _began(pid: int) -> str | None:
    """When a process began, in ticks, so that a number given out again is noticed; None if gone or not known."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return None if state in "ZX" else f"{boot}:{fields[18]}"
