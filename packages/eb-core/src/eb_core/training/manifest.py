"""What a run says of itself in `manifest.json` and `metrics.jsonl`, read with care: a directory may hold anything.

status: running, finished, interrupted (Ctrl-C, SIGTERM, SIGHUP) or failed; a run whose process is gone while the
manifest still says `running` was killed. Reading needs no torch.
"""

import json
import os
import platform
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from eb_core.registry import UsageError

MANIFEST: Final = "manifest.json"
RECIPE: Final = "recipe.toml"
METRICS: Final = "metrics.jsonl"
WEIGHTS: Final = "weights.safetensors"
START: Final = "start.safetensors"
CHECKPOINT: Final = "checkpoint.safetensors"
PREDICTIONS: Final = "predictions.npz"
SIMULATOR: Final = "simulator"
"""Name of the backend that is this computer, which is not worth a word."""
FORMAT: Final = 1
STATUSES: Final = ("running", "finished", "interrupted", "failed")
LARGEST: Final = 64 * 2**20
"""Bytes of a text file of a run beyond which it is not read."""


def regular(file: Path) -> Path:
    """The path of a file that can be opened without waiting: no pipe, socket, device or folder.

    Raises:
        OSError: it is none, or is not there.
    """
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise OSError(f"{file.name} is no regular file")
    return file


def read_text(file: Path) -> str:
    """A text file of a run.

    Raises:
        OSError: it is not there, is no regular file, may not be read, or is far too large.
        ValueError: it is not UTF-8.
    """
    with regular(file).open("rb") as opened:
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(f"{file.name} has more than {LARGEST // 2**20} MiB")
    return content.decode()


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a run directory; what this version uses of it has the right types.

    Raises:
        UsageError: `path` is no run directory, or its manifest is damaged.
    """
    file = path / MANIFEST
    try:
        manifest = json.loads(read_text(file))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FileNotFoundError) or not os.path.isdir(path):
            raise UsageError(
                f"{path} is no run: {error}", origin=str(file), advice="give a directory made by 'eb train'"
            ) from None
        raise _damaged(file, str(error)) from None
    if not isinstance(manifest, dict) or not _is_shallow(manifest):
        raise _damaged(file, "it holds no table of plain values")
    if manifest.get("format") != FORMAT:
        raise UsageError(f"{file} has a format that this version does not read", advice="upgrade eb-core")
    wrong = [name for name, fits in _MANIFEST.items() if not fits(manifest.get(name))]
    if wrong:
        raise _damaged(file, f"unusable are {', '.join(wrong)}")
    return manifest


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """One record per epoch that a run has finished; a last line that was cut short is left out.

    Raises:
        UsageError: the file is damaged.
    """
    file = path / METRICS
    try:
        *lines, _ = read_text(file).split("\n")
        records = [json.loads(line) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(file, str(error)) from None
    for number, record in enumerate(records, 1):
        if not is_epoch(record):
            raise _damaged(file, f"line {number} is no record of an epoch")
    return records


def _damaged(file: Path, why: str) -> UsageError:
    return UsageError(
        f"{file.name} of {file.parent} is damaged: {why}",
        origin=str(file),
        advice="put a copy of it back, or train again with the recipe.toml beside it",
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    """Whether this is a float, which may be nan, or an integer that fits into one."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def is_whole(value: Any) -> bool:
    """Whether this is a count: an integer of 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _is_score(value: Any) -> bool:
    """A loss, which may be nan, and an accuracy, which is a share."""
    if not isinstance(value, dict):
        return False
    loss, accuracy = value.get("loss"), value.get("accuracy")
    return is_number(loss) and _is_share(accuracy) and is_whole(value.get("samples", 0))


def is_epoch(value: Any) -> bool:
    """Whether this is a record of an epoch: what it needs is there, and all that it has is of the right type."""
    return (
        isinstance(value, dict)
        and is_whole(value.get("epoch"))
        and _is_score(value.get("train"))
        and ("validation" not in value or _is_score(value["validation"]))
        and all(is_number(value.get(name, 0.0)) for name in ("lr", "seconds"))
        and isinstance(value.get("health", {}), dict)
        and all(map(_or_none(is_number), value.get("health", {}).values()))
        and isinstance(value.get("advice", []), list)
        and all(map(_is_text, value.get("advice", [])))
        and is_usage(value.get("usage", {}))
    )


def is_usage(value: Any) -> bool:
    """Whether these are counts and sums of what was used of a device, by name."""
    return isinstance(value, dict) and all(is_number(one) and one >= 0 for one in value.values())


def _is_shallow(value: Any, depth: int = 8) -> bool:
    """Whether tables and lists in one another end before they could exhaust whoever walks through them."""
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_shallow(one, depth - 1) for one in inner)
    return True


def _is_recipe(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(table, dict) for table in value.values())


def _is_data(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_text(value.get("checksum"))
        and is_whole(value.get("classes"))
        and isinstance(value.get("input_shape"), list)
        and all(is_whole(size) for size in value["input_shape"])
    )


def _is_process(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("host")) and is_whole(value.get("pid"))


def _are_plugins(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and _is_text(one.get("distribution")) and _is_text(one.get("version")) for one in value
    )


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


_MANIFEST: Final[Mapping[str, Callable[[Any], bool]]] = {
    "status": lambda value: value in STATUSES,
    "recipe": _is_recipe,
    "data": _is_data,
    "process": _is_process,
    "machine": lambda value: isinstance(value, dict),
    "plugins": _are_plugins,
    "best_epoch": _or_none(is_whole),
    "test": _or_none(_is_score),
    "weights": _or_none(_is_text),
    "cwd": _or_none(_is_text),
    "data_dir": _or_none(_is_text),
    "resumed": _or_none(lambda value: isinstance(value, list)),
    "notices": _or_none(lambda value: isinstance(value, list)),
    "usage": _or_none(is_usage),
    "device": _or_none(lambda value: isinstance(value, dict)),
    "start": _or_none(lambda value: isinstance(value, dict) and _is_text(value.get("path"))),
}
"""What this version uses of a manifest, and whether a value will do; what is not there is None."""


def this_process() -> dict[str, Any]:
    """Who is writing a run: enough to find out later whether it still is."""
    return {"host": platform.node(), "pid": os.getpid(), "began": _began(os.getpid())}


def status_of(manifest: dict[str, Any]) -> str:
    """The status, or `killed` if it says running and the process is gone; another host's word is taken."""
    status, process = str(manifest["status"]), manifest["process"]
    if status != "running" or process["host"] != platform.node():
        return status
    return "running" if _is_alive(process["pid"], process.get("began")) else "killed"


def _is_alive(pid: int, began: str | None) -> bool:
    if os.name != "posix":
        return True  # to ask would end the process there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
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
