"""Command lines that an error or a summary suggests: copied into a shell, they mean what they say."""

import os
import shlex
from pathlib import Path


def command(*words: str | Path) -> str:
    """A line for a shell, with every word quoted that needs it; a path that begins with a hyphen stays no option.

    >>> command("eb", "evaluate", Path("my run/x;y"))
    "eb evaluate 'my run/x;y'"
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str | Path) -> str:
    """As `shlex.join` does it; what a terminal would not show as it is, byte by byte as in bash, ksh and zsh."""
    text = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(sign if sign.isprintable() and sign not in "\\'" else _bytes(sign) for sign in text) + "'"


def _bytes(sign: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(sign))
