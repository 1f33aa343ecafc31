"""The folder that fuzzed commands run in: small data, genuine runs, and the odd files that a disk can hold.

data/      a tiny data set, FIFOs, folders, links in a loop, to nowhere or without end, files without permission
runs/      `finished`, its `twin` (another seed), `other` (another shape) and `stopped`, each made by a training
on_path/   modules that nobody may import because a file names them
home/      the home folder, with its caches
work/      where the command runs; emptied after each
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

import eb_core as eb
from eb_core.training.manifest import CHECKPOINT, MANIFEST, METRICS, WEIGHTS

TINY = {"name": "npz", "file": "../data/tiny.npz"}
"""An epoch takes a twentieth of a second."""

WRITTEN_TO = ("--out", "--plot", "--predictions", "--resume", "resume", "--into", "--certificate")
"""Flags that name a place where something may be written."""

_STAMP = re.compile(r"\d{8}-\d{6}-")
Tree = Mapping[Path, tuple[int, ...]]


class _CtrlC:
    """An observer that stops a training in its second epoch."""

    def batch(self, epoch: int, done: int, total: int) -> None:
        if (epoch, done) == (1, 2):
            raise KeyboardInterrupt

    def epoch(self, report: object) -> None:
        """Nothing."""


class Scene:
    """One such folder, new or left by another worker; made whole when a command has changed what is not its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work, self.data, self.runs = (folder, *(folder / one for one in ("work", "data", "runs")))
        self.genuine = folder / "genuine"
        if self.genuine.exists():
            self.mend()
            return
        for part in (self.genuine, folder / "on_path" / "poison"):
            part.mkdir(parents=True)
        for module in ("__init__", "deep"):
            (folder / "on_path" / "poison" / f"{module}.py").write_text("class Poison: ...\n")
        self.mend()
        self._train("finished")
        self._train("twin", seed=1)
        self._train("other", hidden=7)
        self._train("stopped", epochs=3, observers=[_CtrlC()])
        self.mend()

    def _train(self, name: str, hidden: int = 4, observers: Sequence[eb.Observer] = (), **settings: int) -> None:
        """A genuine run."""
        with contextlib.chdir(self.work), contextlib.suppress(KeyboardInterrupt):
            model = {"name": "mlp", "hidden": [hidden]}
            settings = {"epochs": 1, "batch_size": 8, "checkpoint_batches": 1} | settings
            eb.train(model, dataset=TINY, out=self.folder / "made", observers=observers, **settings)
        (made,) = (self.folder / "made").iterdir()
        made.rename(self.genuine / name)

    def mend(self) -> None:
        """Make everything as it was."""
        if (self.data / "shut").exists():
            (self.data / "shut").chmod(0o700)
        for part in (self.work, self.data, self.runs, self.folder / "home"):
            shutil.rmtree(part, ignore_errors=True)
        for part in (self.work, self.data, self.folder / "home"):
            part.mkdir()
        self._fill()
        if any(self.genuine.iterdir()):
            shutil.copytree(self.genuine, self.runs)

    @property
    def environment(self) -> dict[str, str]:
        """What a command sees: a home of its own, a wide terminal, no settings of the user."""
        home = str(self.folder / "home")
        ours = {
            f"EB_{name}": "" for name in ("PLUGINS_ALLOW", "PLUGINS_DENY", "PLUGINS_PREFER", "TRACEBACK", "DATA_DIR")
        }
        return {"HOME": home, "XDG_CACHE_HOME": home, "COLUMNS": "200", **ours}

    def put(self, name: str, place: Path) -> None:
        """A copy of a genuine run at `place`."""
        shutil.copytree(self.genuine / name, place)

    def sweep(self) -> None:
        """Empty the folder that the command ran in."""
        shutil.rmtree(self.work)
        self.work.mkdir()

    def _fill(self) -> None:
        """Everything in `data`."""
        chance = np.random.default_rng(0)
        x, images = chance.random((40, 4), dtype=np.float32), chance.random((8, 1, 8, 8), dtype=np.float32)
        y = (x[:, 0] * 3).astype(np.int64)
        np.savez(self.data / "tiny.npz", x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
        np.savez(self.data / "images.npz", x_train=images, y_train=np.arange(8) % 2)
        rows = [",".join(map(str, (*row, label))) for row, label in zip(x, y, strict=True)]
        (self.data / "tiny.csv").write_text("\n".join(rows) + "\n")
        (self.data / "text.toml").write_text('[trainer]\nepochs = "\\u001b[2J[bold]"\n')
        for name in ("folder", "folder.toml", "folder.png", "shut"):
            (self.data / name).mkdir()
        for name in ("empty", "sealed", "sealed.toml", "shut/inside.toml"):
            (self.data / name).touch()
        for name in ("noise", "noise.toml"):
            (self.data / name).write_bytes(chance.bytes(3000))
        for name in ("fifo", "fifo.toml", "fifo.png"):
            os.mkfifo(self.data / name)
        for name in ("loop", "loop.toml", "loop.png"):
            (self.data / name).symlink_to(name)
        links = {"dangling": "no", "endless": "/dev/zero", "endless.toml": "/dev/zero", "full": "/dev/full"}
        for name, target in links.items():
            (self.data / name).symlink_to(target)
        for name in ("sealed", "sealed.toml", "shut"):
            (self.data / name).chmod(0)

    def tree(self) -> Tree:
        """Path -> what it is and when a file was written, for everything but the home folder and its caches."""
        tops = [top for top in self.folder.iterdir() if top.name not in ("home", "genuine")]
        found = {}
        for path in (one for top in tops for one in (top, *top.rglob("*"))):
            facts = path.lstat()
            plain = stat.S_ISREG(facts.st_mode)
            found[path] = (facts.st_mode, facts.st_ino, facts.st_size, facts.st_mtime_ns) if plain else (facts.st_mode,)
        return found

    def traces(self, before: Tree, words: Sequence[str], *, returned: bool) -> list[tuple[str, str]]:
        """Findings in the folder: what was written where nothing may be, lost, or left in a state that is no end.

        Args:
            before: `tree()` when the command began.
            returned: whether the command came to its end by itself.
        """
        after = self.tree()
        touched = [path for path in {**before, **after} if before.get(path) != after.get(path)]
        allowed = [*self._targets(words), *([self.work / "runs"] if "train" in words else [])]
        found = []
        for path in touched:
            if "__pycache__" in path.parts:  # a class that was typed may be compiled; from a file none is imported
                continue
            if not any(one == path or one in path.parents or path in one.parents for one in allowed):
                what = "lost" if path not in after else "written outside"
                found.append((what, _STAMP.sub("", str(path.relative_to(self.folder)))))
        for path in touched if returned else ():
            is_new_run = path in after and path not in before and path.is_dir() and _STAMP.match(path.name)
            if is_new_run and not (path / MANIFEST).exists():
                found.append(("left behind", "a run directory without a manifest"))
            if path in after and path.name == MANIFEST and _says_running(path):
                found.append(("left behind", "a run that says it is running"))
            if path in after and path.name in (WEIGHTS, CHECKPOINT, METRICS) and not finite(path):
                found.append(("not finite", path.name))
        if any(self.work not in path.parents for path in touched):
            self.mend()
        return found

    def _targets(self, words: Sequence[str]) -> list[Path]:
        """Places that the command was told to write to."""
        told = [word.partition("=")[2] for word in words if word.startswith(tuple(f"{one}=" for one in WRITTEN_TO))]
        told += [word for flag, word in itertools.pairwise(words) if flag in WRITTEN_TO]
        told += [word for word in words if words[:1] == ["new-plugin"] and re.fullmatch(r"[a-z0-9-]+", word)]
        return [Path(os.path.realpath(self.work / word)) for word in told]


def _says_running(manifest: Path) -> bool:
    try:
        return bool(json.loads(manifest.read_bytes())["status"] == "running")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def finite(file: Path) -> bool:
    """Whether all numbers in a file of a run are finite; true for a file that is none of ours any more."""
    if not file.is_file():
        return True
    if file.name == METRICS:
        return not re.search(r"\b(NaN|Infinity)\b", file.read_text(errors="replace"))
    try:
        arrays = safetensors.numpy.load(file.read_bytes())
    except (SafetensorError, OSError):
        return True
    return all(np.isfinite(array).all() for array in arrays.values())
