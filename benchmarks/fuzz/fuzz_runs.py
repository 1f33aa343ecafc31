"""Fuzz run directories: damage a genuine one or forge it, and use it in every way a run can be used.

    python benchmarks/fuzz/fuzz_runs.py [--count N] [--seed S] [--json FILE] [--only INDEX]

`runs/victim` is a copy of a run that has finished or was stopped, with one or two kinds of damage (fuzz_damage.py);
beside it stands a sane run, `runs/neighbour`. Beside what fuzzing.py counts:

    imported    a module that a file of the run names
    called      an address that a file of the run names
    believed    numbers from weights, or training on from a checkpoint, that are not those of the run
    hidden      `eb runs` does not show the neighbour, or fails, because of the victim
    lost        a refused command has taken a file of the run away, or changed it

A changed manifest, recipe or metrics may pass where it makes sense; a checkpoint that somebody has forged, digest and
all, may be resumed if its numbers are finite and of the right shape; without any, a run begins at its beginning.
"""

import contextlib
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fuzz_damage import DAMAGES, HOSTILE_NAMES
from fuzz_scene import Scene
from fuzz_watch import Seen
from fuzz_workers import main
from fuzzing import Case, Finding, Fuzzer, short

import eb_core as eb
from eb_core.training.manifest import CHECKPOINT, WEIGHTS

USES: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate", "RUN"),
    "resume": ("train", "--resume", "RUN"),
    "runs": ("runs", "runs"),
    "runs --json": ("runs", "runs", "--json"),
    "compare": ("compare", "RUN", "runs/neighbour"),
    "relax": ("relax", "RUN", "--steps", "5", "--repeats", "1", "--batch", "4"),
    "recipe": ("train", "--recipe", "RUN/recipe.toml"),
    "plot": ("compare", "runs/neighbour", "RUN", "--plot", "a.svg"),
    "load": ("load_run", "RUN"),
    "resume in Python": ("resume", "RUN"),
}
WEIGHTY = ("evaluate", "relax", "load_run")


class RunDirectories(Fuzzer):
    """Run directories."""

    def draw(self, chance: random.Random) -> Case:
        """One or two kinds of damage, each with a seed of its own, a name, a genuine run, a use."""
        kinds = chance.choices([*DAMAGES], k=chance.choice([1, 1, 1, 2]))
        use = chance.choice([*USES])
        genuine = "stopped" if use.startswith("resume") or chance.random() < 0.3 else "finished"
        named = [("name", chance.choice(HOSTILE_NAMES))] if chance.random() < 0.1 else []
        damage = [("damage", kind, str(chance.randrange(10**6))) for kind in kinds]
        return Case(
            (*damage, *named, ("use", use), ("genuine", genuine), ("neighbour", chance.choice(["twin", "other"])))
        )

    def prepare(self, case: Case, scene: Scene) -> list[str]:
        """Two copies; one is damaged."""
        given = {kind: rest for kind, *rest in case.parts}
        victim = Path("runs/victim")
        scene.put(given.get("neighbour", ["twin"])[0], Path("runs/neighbour"))
        scene.put(given.get("genuine", ["finished"])[0], victim)
        before = self._content(victim)
        for place, (_, name, seed) in enumerate(part for part in case.parts if part[0] == "damage"):
            if place and not all(path.is_file() for path in victim.iterdir()):
                continue  # the second would wait for ever at a pipe
            with contextlib.suppress(*([Exception] if place else [])):  # the first may have left nothing for the second
                DAMAGES[name](victim, random.Random(seed))
        self.victim = victim.rename(victim.with_name(given.get("name", ["victim"])[0]))
        self.damaged = self._content(self.victim)
        self.changed = {name for name in before if before[name] != self.damaged.get(name)}
        return [word.replace("RUN", str(self.victim)) for word in USES[given.get("use", ["runs"])[0]]]

    @staticmethod
    def _content(folder: Path) -> dict[str, Any]:
        """Name -> content, or what it is, of the files in a folder."""
        return {
            one.name: one.read_bytes()
            if one.is_file() and not one.is_symlink() and os.access(one, os.R_OK)
            else one.lstat().st_mode
            for one in folder.iterdir()
        }

    def call(self, words: Sequence[str]) -> None:
        """The command, or the same in Python, where every `EbError` is a refusal."""
        if words[0] not in ("load_run", "resume"):
            return super().call(words)
        try:
            if words[0] == "resume":
                eb.resume(words[1])
            else:
                eb.load_run(words[1]).predict(torch.zeros(2, 4))
        except eb.EbError as error:
            print(error, file=sys.stderr)
            raise SystemExit(error.exit_code) from error
        return None

    def faults(self, case: Case, scene: Scene, seen: Seen) -> list[Finding]:
        """What a file must not do, and what must not happen to it."""
        given = {kind: rest for kind, *rest in case.parts}
        use, kinds = given.get("use", ["runs"])[0], [part[1] for part in case.parts if part[0] == "damage"]
        found = [("imported", f"by {use}")] if seen.modules else []
        if seen.called:
            found.append(("called", f"an address named by the run, by {use}"))
        words = USES[use]
        if seen.code == 0 and words[0] in WEIGHTY and WEIGHTS in self.changed:
            found.append(("believed", f"weights, by {use}"))
        other = CHECKPOINT in self.changed and isinstance(self.damaged.get(CHECKPOINT), bytes)
        if seen.code == 0 and "resume" in use and other and "odd_checkpoint" not in kinds:
            found.append(("believed", f"checkpoint, by {use}"))
        if use.startswith("runs") and (seen.code != 0 or "neighbour" not in seen.out):
            found.append(("hidden", f"by {use}"))
        now = self._content(scene.work / self.victim) if (scene.work / self.victim).exists() else {}
        gone = {name for name, content in self.damaged.items() if now.get(name) != content}
        may_change = {
            "manifest.json",
            "metrics.jsonl",
            "checkpoint.safetensors",
            "weights.safetensors",
            ".manifest.json.x.part",
        }
        if seen.code in (2, 3) and gone:
            found.append(("lost", f"{', '.join(sorted(gone))}, refused by {use}"))
        elif seen.code != 0 and gone - may_change | {name for name in gone if name not in now and name[0] != "."}:
            found.append(("lost", f"{', '.join(sorted(gone))}, by {use}"))
        return found

    def shown(self, case: Case, words: Sequence[str]) -> str:
        """The damage, too."""
        what = "; ".join(f"{part[1]} {part[2]}" for part in case.parts if part[0] == "damage")
        files = ", ".join(sorted(self.changed)) or "nothing but additions"
        return f"{' '.join(map(short, words))}   after {what}: {files} changed"


if __name__ == "__main__":
    main(RunDirectories, __doc__)
