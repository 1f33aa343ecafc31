"""What can be wrong with a run directory, one kind of damage at a time; each is a function of (folder, chance).

Damage is by accident (bits, lost ends, other files' content) or forged: values that nobody would write, checkpoints
with a digest that fits, names of foreign modules, addresses.
"""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import tomli
import tomli_w
import torch
from fuzz_texts import CONTROLS, FOREIGN, TEXTS
from fuzz_values import mistyped

from eb_core.training.checkpoint import Checkpoint
from eb_core.training.manifest import CHECKPOINT, MANIFEST, METRICS, RECIPE, WEIGHTS

FILES = (MANIFEST, RECIPE, METRICS, WEIGHTS, CHECKPOINT)
SOURCE = "http://127.0.0.1:9/where/the/file/says"
ODD_VALUES: tuple[Any, ...] = (
    *(None, [], {}, [None], {"": None}, "", "x", 0, -1, 1.5, True, 10**30, 10**400, 1e308, float("nan"), float("inf")),
    *(
        [[[[[]]]]],
        "x" * 100_000,
        list(range(50_000)),
        *CONTROLS,
        *("[bold red]x[/]", "[/]", "$(touch pwned)", "../..", "/"),
    ),
)
ODD_BYTES = {
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "not UTF-8": b"\xff\xfe\x80{}",
    "null": b"null\n",
    "list": b"[]\n",
    "deep": b"[" * 200_000,
    "deep in a table": b'{"format": 1, "recipe": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "long number": b'{"format": ' + b"1" * 10_000 + b"}",
    "marked": b"\xef\xbb\xbf{}",
    "eight exabytes": b"\xff" * 7 + b"\x7f{}",
}
ODD_LINES = (
    *(
        "null",
        "[]",
        "{}",
        "1",
        '"text"',
        "NaN",
        '{"epoch": null}',
        '{"validation": null}',
        '{"validation": {}}',
        "{",
        "",
    ),
    *('{"validation": {"accuracy": "x"}}', '{"validation": {"accuracy": null}}', '{"validation": {"accuracy": 1e999}}'),
    *(
        '{"validation": {"accuracy": NaN}}',
        '{"validation": [1]}',
        "[" * 100_000,
        '{"epoch": ' + "1" * 5000 + "}",
        "\x1b[2J",
    ),
)


def flip(folder: Path, chance: random.Random) -> None:
    """One bit of a file."""
    file = _file(folder, chance)
    content = bytearray(file.read_bytes())
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


def cut(folder: Path, chance: random.Random) -> None:
    """A file loses its end, or gets one too many."""
    file = _file(folder, chance)
    content = file.read_bytes()
    at = chance.randrange(len(content) + 1)
    file.write_bytes(content[:at] if chance.random() < 0.7 else content + content[at:])


def other_bytes(folder: Path, chance: random.Random) -> None:
    """A file holds something else."""
    _file(folder, chance).write_bytes(ODD_BYTES[chance.choice([*ODD_BYTES])])


def other_thing(folder: Path, chance: random.Random) -> None:
    """A file is no file, or none that may be read."""
    file = _file(folder, chance)
    what = chance.choice(["gone", "fifo", "folder", "loop", "nowhere", "endless", "sealed", "another file"])
    if what == "sealed":
        file.chmod(0)
        return
    other = chance.choice([one for one in folder.iterdir() if one != file])
    file.unlink()
    if what == "fifo":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    elif what == "another file":
        shutil.copy(other, file)
    elif what != "gone":
        file.symlink_to({"loop": file.name, "nowhere": "nowhere", "endless": "/dev/zero"}[what])


def odd_json(folder: Path, chance: random.Random) -> None:
    """A value of the manifest is another one, or is not there."""
    manifest = json.loads((folder / MANIFEST).read_text())
    inside, key = _place(manifest, chance)
    if chance.random() < 0.15:
        del inside[key]
    else:
        inside[key] = chance.choice(ODD_VALUES)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def odd_process(folder: Path, chance: random.Random) -> None:
    """The manifest names a process that is none."""
    pid = chance.choice([-1, 0, 1, 10**30, "x", None, 1.5, [], True])
    _rewrite(folder, status="running", process={"host": os.uname().nodename, "pid": pid, "began": None})


def odd_metrics(folder: Path, chance: random.Random) -> None:
    """A line of the metrics."""
    lines = (folder / METRICS).read_text().splitlines()
    lines.insert(chance.randint(0, len(lines)), chance.choice(ODD_LINES))
    (folder / METRICS).write_text("\n".join(lines) + "\n")


def odd_recipe(folder: Path, chance: random.Random) -> None:
    """A value of the recipe, in the recipe and, mostly, in the manifest too."""
    odd = [one for one in ODD_VALUES if one not in (None, [None], {"": None})]
    section = chance.choice([*tomli.loads((folder / RECIPE).read_text())])
    _forge(folder, chance, section, lambda table: table.update({chance.choice([*table]): chance.choice(odd)}))


def foreign(folder: Path, chance: random.Random) -> None:
    """A section names a class by its path."""
    section = chance.choice(["model", "energy", "relaxer", "rule", "cost", "dataset", "backend"])
    named = {"name": chance.choice(FOREIGN)}
    _forge(folder, chance, section, lambda table: (table.clear(), table.update(named)))


def address(folder: Path, chance: random.Random) -> None:
    """The data set is to be fetched from an address."""
    named = {"name": chance.choice(["mnist", "cifar10", "svhn"]), "download": True, "source": SOURCE}
    _forge(folder, chance, "dataset", lambda table: (table.clear(), table.update(named)))


def wrong_name(folder: Path, chance: random.Random) -> None:
    """A section names a component that is not there."""
    section = chance.choice(["model", "energy", "relaxer", "rule", "cost", "dataset", "backend"])
    _forge(folder, chance, section, lambda table: table.update(name=mistyped(chance, table["name"])))


def odd_weights(folder: Path, chance: random.Random) -> None:
    """Numbers that are none, another shape, another type, one tensor too few or too many."""
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(_odd_tensors(tensors, chance)))


def odd_checkpoint(folder: Path, chance: random.Random) -> None:
    """Odd tensors or values in a checkpoint whose digest fits."""
    if not (folder / CHECKPOINT).exists():
        odd_weights(folder, chance)
        return
    checkpoint = Checkpoint.read(folder / CHECKPOINT)
    plain, tensors = json.loads(json.dumps(dict(checkpoint.plain))), dict(checkpoint.tensors)
    if chance.random() < 0.5:
        inside, key = _place(plain, chance)
        inside[key] = chance.choice(ODD_VALUES)
    else:
        tensors = _odd_tensors(tensors, chance)
    (folder / CHECKPOINT).write_bytes(Checkpoint(tensors, plain).encode())


def _odd_tensors(tensors: dict[str, torch.Tensor], chance: random.Random) -> dict[str, torch.Tensor]:
    names = [name for name, one in tensors.items() if one.numel()]
    name = chance.choice(names)
    value = tensors[name]
    changes: list[Callable[[], torch.Tensor]] = [
        lambda: torch.full_like(value, float("nan") if value.is_floating_point() else 10**9),
        lambda: torch.full_like(value, float("inf") if value.is_floating_point() else -1),
        lambda: torch.cat([value.reshape(-1), value.reshape(-1)]),
        lambda: value.reshape(-1).clone(),
        lambda: value.double() if value.dtype != torch.float64 else value.float(),
        lambda: (value * 0).to(torch.int64),
        lambda: torch.zeros(0),
    ]
    what = chance.randrange(len(changes) + 2)
    if what == len(changes):
        return {one: tensor for one, tensor in tensors.items() if one != name}
    if what > len(changes):
        return tensors | {chance.choice(["more", "\x1b[2J", "x" * 10_000]): value.clone()}
    return tensors | {name: changes[what]()}


def swapped(folder: Path, chance: random.Random) -> None:
    """A file of another run."""
    others = [one for one in FILES if (folder.parent / "neighbour" / one).exists()]
    file = chance.choice(others)
    shutil.copy(folder.parent / "neighbour" / file, folder / file)


def left_overs(folder: Path, chance: random.Random) -> None:
    """Files that are nobody's."""
    name = chance.choice([".manifest.json.x.part", "lock", ".lock", "run.lock", "heartbeat", "predictions.npz"])
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir() if chance.random() < 0.5 else (folder / name).write_bytes(b"\0")


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    one.__name__: one
    for one in (
        *(flip, cut, other_bytes, other_thing, odd_json, odd_process, odd_metrics, odd_recipe, foreign, address),
        *(wrong_name, odd_weights, odd_checkpoint, swapped, left_overs),
    )
}
HOSTILE_NAMES = tuple(
    text for text in TEXTS if 0 < len(text.encode("utf-8", "replace")) < 100 and not {"/", "."} & {*text}
)


def _file(folder: Path, chance: random.Random) -> Path:
    files = [one for one in FILES if (folder / one).is_file() and not (folder / one).is_symlink()]
    return folder / chance.choice(files)


def _place(value: Any, chance: random.Random) -> tuple[Any, Any]:
    """A table or list inside `value`, and a key of it."""
    keys = [*value] if isinstance(value, dict) else [*range(len(value))]
    key = chance.choice(keys)
    inner = value[key]
    return (
        _place(inner, chance) if isinstance(inner, dict | list) and inner and chance.random() < 0.75 else (value, key)
    )


def _rewrite(folder: Path, **facts: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | facts))


def _forge(folder: Path, chance: random.Random, section: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a section of the recipe; three times in four the manifest agrees with it."""
    recipe = tomli.loads((folder / RECIPE).read_text())
    change(recipe[section])
    (folder / RECIPE).write_text(tomli_w.dumps(recipe))
    if chance.random() < 0.75:
        _rewrite(folder, recipe=recipe)
