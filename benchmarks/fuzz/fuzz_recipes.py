"""Fuzz recipe files: every section and option, wrong ones beside them, damaged TOML, files that are none.

    python benchmarks/fuzz/fuzz_recipes.py [--count N] [--seed S] [--json FILE] [--only INDEX]

A recipe starts as one with which a training takes a twentieth of a second; drawn lines follow, then damage to the bytes
of the file. Half of the recipes are only shown (`--dry-run`). Beside what fuzzing.py counts:

    imported    a module that the file names as `module:Class`: a stranger's recipe may name what is registered
    called      an address that the file names
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fuzz_scene import Scene
from fuzz_texts import FOREIGN, OTHER_TYPES, PATHS, TEXTS
from fuzz_values import as_toml, mistyped, name, quoted, value
from fuzz_watch import Seen
from fuzz_workers import main
from fuzzing import Case, Finding, Fuzzer, short

from eb_core.registry import KINDS
from eb_core.registry.recipes import TRAINER

START = {
    "model": {"name": "'mlp'", "hidden": "[4]"},
    "dataset": {"name": "'npz'", "file": "'../data/tiny.npz'"},
    TRAINER: {"epochs": "1"},
}
IMAGES = {
    "model": {"name": "'dchn'", "width": "1", "growth": "[1, 2]"},
    "dataset": {"name": "'npz'", "file": "'../data/images.npz'"},
}
SOURCE = "http://127.0.0.1:9/where/the/file/says"
WHOLE = {
    "deep list": lambda: b"a = " + b"[" * 100_000,
    "deep table": lambda: b"a = " + b"{b = " * 20_000,
    "deep name": lambda: b".".join([b"a"] * 20_000) + b" = 1",
    "deep section": lambda: b"[" + b".".join([b"model"] * 5_000) + b"]",
    "many sections": lambda: b"".join(b"[s%d]\n" % index for index in range(20_000)),
    "many options": lambda: b"[rule]\n" + b"".join(b"o%d = 1\n" % index for index in range(5_000)),
    "long name": lambda: b"[rule]\nname = '" + b"x" * 1_000_000 + b"'",
    "long option": lambda: b"[rule]\n" + b"x" * 1_000_000 + b" = 1",
    "long section": lambda: b"[" + b"x" * 1_000_000 + b"]",
    "long value": lambda: b"[rule]\nbeta = '" + b"x" * 1_000_000 + b"'",
    "long list": lambda: b"[model]\nhidden = [" + b"-1, " * 50_000 + b"]",
    "long number": lambda: b"[trainer]\nseed = " + b"9" * 100_000,
    "long comment": lambda: b"#" + b"x" * 5_000_000,
    "nothing": lambda: b"",
    "zeros": lambda: b"\0" * 10_000,
    "sixteen bits": lambda: "[rule]\nname = 'p-ep'\n".encode("utf-16"),
    "noise": lambda: random.Random(0).randbytes(5_000),
}


class Recipes(Fuzzer):
    """Recipe files."""

    def draw(self, chance: random.Random) -> Case:
        """Sections, each of a few lines; then damage."""
        flags = ("flags", *(["--dry-run"] if chance.random() < 0.33 else []))
        roll = chance.random()
        shown = ("flags", "--dry-run")  # what is cut off may have kept the training short
        if roll < 0.04:
            return Case((shown, ("whole", chance.choice([*WHOLE]))))
        if roll < 0.07:
            return Case((flags, ("path", chance.choice([path for path in PATHS if path.endswith(".toml")]))))
        fair = chance.random() < 0.55
        start = START | (IMAGES if chance.random() < 0.07 else {})
        sections = {section: {**lines} for section, lines in start.items() if fair or chance.random() < 0.97}
        heavy, chosen = (
            len(sections) < len(START),
            self.known.defaults | {"model": start["model"]["name"].strip("'"), "dataset": "npz"},
        )
        if chance.random() < 0.4:
            chosen["relaxer"], chosen["energy"] = chance.choice(self.known.fitting)
            sections |= {kind: {"name": f"'{chosen[kind]}'"} for kind in ("relaxer", "energy")}
        if chance.random() < 0.3:
            chosen["rule"] = chance.choice(self.known.names["rule"])
            sections["rule"] = {"name": f"'{chosen['rule']}'"}
        for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 5])):
            kind = chance.choice([*KINDS, TRAINER])
            lines, big = self._lines(chance, kind, chosen, fair=fair)
            sections[kind] = sections.get(kind, {}) | lines
            heavy |= big
        parts = [flags]
        for section, lines in sections.items():
            parts.append(("line", f"[{section}]" if fair or chance.random() < 0.97 else self._head(chance, section)))
            parts += [("line", f"{key} = {text}") for key, text in lines.items()]
        if not fair and chance.random() < 0.3:
            parts[0] = shown
            what = chance.choice(["flip", "cut", "put", "repeat", "swap"])
            parts.append(
                (
                    what,
                    str(chance.random()),
                    chance.choice(["\0", "\ufffd", "[", "]", '"', "\r", "\x1b", "=", "\ufeff"]),
                )
            )
        return Case(tuple(parts), heavy)

    def _head(self, chance: random.Random, section: str) -> str:
        other = [mistyped(chance, section), f"{section}.{section}", f"[{section}]", quoted(chance.choice(TEXTS))]
        return f"[{chance.choice(other)}]"

    def _lines(
        self, chance: random.Random, kind: str, chosen: dict[str, str], *, fair: bool
    ) -> tuple[dict[str, str], bool]:
        """Lines of a section, and whether they may take long."""
        roll = chance.uniform(0.3 if fair else 0.0, 1.0)
        if roll < 0.1 and kind != TRAINER:
            chosen[kind] = name(chance, self.known.names[kind], fair=False)
            return {"name": quoted(chosen[kind])}, False
        if roll < 0.2 and kind != TRAINER:
            return {"name": chance.choice([*OTHER_TYPES[:-2], *map(quoted, FOREIGN)])}, False
        if roll < 0.25 and kind == "dataset":
            return {"name": "'mnist'", "download": "true", "source": f"'{SOURCE}'"}, False
        known = kind == TRAINER or chosen[kind] in self.known.names[kind]
        options = self.known.options(kind, chosen.get(kind, "")) if known else []
        if not options or roll < 0.3:
            return {quoted(chance.choice(TEXTS)): quoted(chance.choice(TEXTS))}, False
        option = chance.choice(options)
        text = value(chance, option, fair=fair)
        key = quoted(mistyped(chance, option.name)) if not fair and chance.random() < 0.1 else option.name
        return {key: text.text if not fair and chance.random() < 0.1 else as_toml(text.text)}, text.heavy

    def prepare(self, case: Case, scene: Scene) -> list[str]:
        """Write the file."""
        given: dict[str, list[Any]] = {
            kind: [rest for one, *rest in case.parts if one == kind] for kind, *_ in case.parts
        }
        path = next((rest[0] for rest in given.get("path", [])), "own.toml")
        if "path" not in given:
            content = "\n".join(rest[0] for rest in given.get("line", [])).encode("utf-8", "replace")
            for rest in given.get("whole", []):
                content = WHOLE[rest[0]]()
            for what, where, sign in (
                part for part in case.parts if part[0] in ("flip", "cut", "put", "repeat", "swap")
            ):
                content = damaged(content, what, float(where), sign)
            Path(path).write_bytes(content)
        return ["train", "--recipe", path, *(word for rest in given.get("flags", []) for word in rest)]

    def faults(self, case: Case, scene: Scene, seen: Seen) -> list[Finding]:
        """Imports and addresses."""
        found = [("imported", "a module named by a recipe")] if seen.modules else []
        return found + [("called", "an address named by a recipe")] * any(
            "where/the/file" in one or "127.0.0.1" in one for one in seen.called
        )

    def shown(self, case: Case, words: Sequence[str]) -> str:
        """The file instead of its name."""
        lines = "; ".join(
            short(part[1]) if part[0] == "line" else f"<{' '.join(part[:2])}>"
            for part in case.parts
            if part[0] != "flags"
        )
        return f"{super().shown(case, words)}   where it says:  {lines}"


def damaged(content: bytes, what: str, where: float, sign: str) -> bytes:
    """Bytes with one thing wrong with them."""
    at = int(where * len(content))
    if what == "flip" and content:
        return content[:at] + bytes([content[at] ^ 1 << int(where * 1000) % 8]) + content[at + 1 :]
    if what == "put":
        return content[:at] + sign.encode() + content[at:]
    if what == "repeat":
        return content + b"\n" + content
    if what == "swap":
        return content[at:] + content[:at]
    return content[:at]


if __name__ == "__main__":
    main(Recipes, __doc__)
