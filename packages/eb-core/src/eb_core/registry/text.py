"""Values as typed on a command line: TOML, with fewer quotes and brackets asked for."""

import re
import types
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import tomli


@attrs.frozen
class Text:
    """A value as typed on the command line, to be read once its option's type is known."""

    text: str

    def read(self, kind: Any) -> Any:
        """The TOML value; literally the text if that fails and the option takes text or a choice.

        `.5` and `1.` are accepted as numbers. A list may do without quotes and brackets: `64`, `64,32`, `[max, avg]`.
        """
        arms = arms_of(kind)
        lists = [arm for arm in arms if get_origin(arm) is tuple]
        if lists and not (self.text == "none" and type(None) in arms):
            bare = self.text.strip().removeprefix("[").removesuffix("]")
            if not set(bare) & set("[]\"'"):
                return [Text(part.strip()).read(get_args(lists[0])[0]) for part in bare.split(",") if part.strip()]
        if any(arm is str or get_origin(arm) is Literal for arm in arms) and not self.text.startswith(("'", '"')):
            if str in arms:
                return self.text
            choices = [choice for arm in arms if get_origin(arm) is Literal for choice in get_args(arm)]
            if self.text in choices:
                return self.text
        for text in (self.text, _with_full_floats(self.text)):
            try:
                return tomli.loads(f"value = {text}")["value"]
            except (ValueError, RecursionError):  # no TOML, too many digits, too many brackets
                continue
        return self.text


def arms_of(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _with_full_floats(text: str) -> str:
    """`.5` and `1.` as the `0.5` and `1.0` that TOML asks for; what is in quotes stays as it is."""
    parts = re.split(r"""("[^"]*"|'[^']*')""", text)
    parts[::2] = [re.sub(r"(?<=\d)\.(?!\d)", ".0", re.sub(r"(?<![\w.])\.(?=\d)", "0.", part)) for part in parts[::2]]
    return "".join(parts)
