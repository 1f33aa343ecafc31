"""Values, names and foreign exceptions as they stand in a message: short, on one line, whatever they are."""

import reprlib
from typing import Final

VALUE: Final = 80
"""Longest value in a message, in characters."""
TEXT: Final = 1000
"""Longest text of a message: what a foreign exception says may be a book."""


_SPACES: Final = "\u00a0\u2007\u2009\u202f\u3000"
"""Spaces that languages need, though `str.isprintable` refuses them."""


class _Brief(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxlong = self.maxother = VALUE

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write more than 4,300 digits."""
        return repr(x) if x.bit_length() < 200 else f"a whole number of about {x.bit_length() * 0.30103:,.0f} digits"


_BRIEF: Final = _Brief()


def visible(text: str) -> str:
    r"""`text` on one line: escapes such as \n, \x1b and \u202e stand for what a terminal would obey or hide."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in _SPACES else repr(sign)[1:-1] for sign in text)


def shown(value: object) -> str:
    """Any value as Python writes it, shortened to one line of at most `VALUE` characters; never raises."""
    try:
        return shortened(_BRIEF.repr(value), VALUE)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a stranger's __repr__ may raise anything
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def told(error: BaseException) -> str:
    """Type and text of any exception, shortened to one line; never raises."""
    try:
        lines = f"{type(error).__name__}: {error}".removesuffix(": ").splitlines()
        return shortened(" ".join(line.strip() for line in lines))
    except KeyboardInterrupt:
        raise
    except BaseException as worse:  # noqa: BLE001 - a stranger's __str__ may raise anything
        return f"{type(error).__name__} (its text cannot be shown: {type(worse).__name__})"


def shortened(text: str, most: int = TEXT) -> str:
    r"""`text` on one line (see `visible`), its middle left out where it is longer than `most` characters."""
    line = visible(text)
    return line if len(line) <= most else f"{line[: most * 2 // 3]} … {line[-(most // 4) :]}"
