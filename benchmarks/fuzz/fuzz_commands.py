"""Fuzz the command line: every command and flag, every component and option, names nearly right, odd texts and paths.

    python benchmarks/fuzz/fuzz_commands.py [--count N] [--seed S] [--json FILE] [--only INDEX]

A `train` or `relax` starts from flags with which it takes a twentieth of a second; drawn flags follow, and the last one
counts. `module:Class` and addresses are allowed here: whoever types them means them. What is found, and how it is
counted, is told in fuzzing.py.
"""

import random
from typing import Any

from fuzz_scene import Scene
from fuzz_texts import PATHS, TEXTS
from fuzz_values import Value, mistyped, name, value
from fuzz_workers import main
from fuzzing import Case, Fuzzer

from eb_core.registry import KINDS
from eb_core.registry.recipes import TRAINER

COMMANDS = {
    "train": 45,
    "relax": 14,
    "evaluate": 9,
    "describe": 8,
    "compare": 6,
    "check": 2,
    "runs": 4,
    "list-plugins": 3,
    "new-plugin": 3,
}
RARE = {"doctor": 1, "": 1, "-h": 1, "--version": 1, "trian": 1, "\x1b[2J": 1, "--json": 1}
SMALL = (("--dataset", "npz"), ("--dataset-opt", "file=../data/tiny.npz"), ("--model-opt", "hidden=4"))
SHORT = {
    "train": (*SMALL, ("--epochs", "1")),
    "relax": (*SMALL, ("--steps", "5"), ("--repeats", "1")),
    "evaluate": (("../runs/finished",),),
    "compare": (("../runs/finished",), ("../runs/other",)),
    "runs": (("../runs",),),
    "new-plugin": (("--kind", "cost"),),
}
PLACES = ("--out", "--plot", "--predictions", "--resume", "--data-dir", "--into", "--certificate")
GLOBAL = (("--plugins-deny", "eb-rules"), ("--plugins-allow", "*"), ("--plugins-deny", "\x1b[2J"), ("--traceback",))


class CommandLines(Fuzzer):
    """Command lines."""

    def draw(self, chance: random.Random) -> Case:
        """A command, the flags that keep it short, and up to four others."""
        fair = chance.random() < 0.5
        weights = COMMANDS if fair else COMMANDS | RARE
        (command,) = chance.choices([*weights], [*weights.values()])
        short = [*SHORT.get(command, ())]
        kept = [part for part in short if fair or chance.random() < 0.97]
        heavy = len(kept) < len(short) or command == "check"
        chosen = dict(self.known.defaults)
        parts = [(command,), *kept]
        if command in ("train", "relax", "check"):
            parts += self._physics(chance, command, chosen)
        for _ in range(chance.choice([0, 1, 1, 1, 2, 2, 3, 4])):
            words, big = self._flag(chance, command, chosen, fair)
            parts += words
            heavy |= big
        return Case(tuple(parts), heavy)

    def prepare(self, case: Case, scene: Scene) -> list[str]:
        """The words; files are in the scene."""
        return [word for part in case.parts for word in part]

    def _flag(self, chance: random.Random, command: str, chosen: dict[str, str], fair: bool) -> tuple[list[Any], bool]:
        """Words, in parts, and whether they may take long."""
        parameters = self.known.commands[command].params if command in self.known.commands else []
        if (not fair and chance.random() < 0.2) or not parameters:
            odd = [(chance.choice(TEXTS),), (mistyped(chance, "--epochs"), "1"), chance.choice(GLOBAL), ("-x",)]
            return [chance.choice(odd)], False
        parameter = chance.choice(parameters)
        if parameter.param_type_name == "argument":
            return self._argument(chance, command, fair), False
        flag = parameter.opts[0]
        if parameter.is_flag:
            return [(flag,)], flag == "--all"
        if flag == "--seeds":
            return [(flag, chance.choice(["2", "0", "two", "3"]))], False
        text = self._text(chance, command, flag.removeprefix("--"), chosen, fair)
        return [(flag, text.text) if chance.random() < 0.9 else (f"{flag}={text.text}",)], text.heavy

    def _physics(self, chance: random.Random, command: str, chosen: dict[str, str]) -> list[Any]:
        """Parts that fit each other, so that the flags after them matter."""
        parts: list[Any] = []
        if chance.random() < 0.5:
            chosen["relaxer"], chosen["energy"] = chance.choice(self.known.fitting)
            parts += [("--energy", chosen["energy"]), ("--relaxer", chosen["relaxer"])]
        for kind, share in (("rule", 0.4), ("cost", 0.2)):
            if chance.random() < share and command != "relax":
                chosen[kind] = chance.choice(self.known.names[kind])
                parts.append((f"--{kind}", chosen[kind]))
        return parts

    def _argument(self, chance: random.Random, command: str, fair: bool) -> list[Any]:
        if command == "describe":
            kind = name(chance, [*KINDS, "recipe", TRAINER], fair=fair)
            return [(kind,), (name(chance, self.known.names.get(kind, ["hopfield"]), fair=fair),)]
        if command == "new-plugin" and (fair or chance.random() < 0.3):
            return [(chance.choice(["eb-fuzzed", "fuzzed", "eb-models", "eb-class"]),)]
        if command == "check" and (fair or chance.random() < 0.3):
            kind = chance.choice(["cost", "model", "dataset"])
            return [(f"{kind}:{name(chance, self.known.names[kind], fair=fair)}",)]
        return [(chance.choice(PATHS if fair or chance.random() < 0.6 else TEXTS),)]

    def _text(self, chance: random.Random, command: str, flag: str, chosen: dict[str, str], fair: bool) -> Value:
        """What follows a flag."""
        if flag in self.known.names and (fair or chance.random() < 0.9):
            chosen[flag] = name(chance, self.known.names[flag], fair=fair)
            if flag == "relaxer" and command == "relax" and chance.random() < 0.5:
                pair = self._pair(chance, flag, chosen, fair)
                return Value(f"{chosen[flag]}({pair.text})", pair.heavy)
            return Value(chosen[flag])
        if f"--{flag}" in PLACES or flag == "recipe":
            return Value(chance.choice(PATHS if fair or chance.random() < 0.7 else TEXTS))
        kind = flag.removesuffix("-opt")
        if kind == TRAINER or kind in KINDS:
            return self._pair(chance, kind, chosen, fair)
        known = {option.name: option for option in self.known.options(TRAINER, "")}
        known |= {
            "steps": known["epochs"],
            "batch": known["batch_size"],
            "repeats": known["epochs"],
            "beta": known["lr"],
        }
        option = known.get(flag.replace("-", "_"))
        return value(chance, option, fair=fair) if option else Value(chance.choice(TEXTS))

    def _pair(self, chance: random.Random, kind: str, chosen: dict[str, str], fair: bool) -> Value:
        """`key=value` for the component that the line names, now and then for no option at all."""
        known = kind == TRAINER or chosen[kind] in self.known.names[kind]
        options = self.known.options(kind, chosen.get(kind, "")) if known else []
        if not options or (not fair and chance.random() < 0.15):
            return Value(f"{chance.choice(TEXTS)}={chance.choice(TEXTS)}")
        option = chance.choice(options)
        text = value(chance, option, fair=fair)
        key = mistyped(chance, option.name) if not fair and chance.random() < 0.1 else option.name
        return Value(f"{key}={text.text}", text.heavy)


if __name__ == "__main__":
    main(CommandLines, __doc__)
