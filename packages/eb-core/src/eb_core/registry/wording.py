"""Values, names and foreign exceptions as they stand in a message: short, on one line, whatever they are."""

import re
import reprlib
from typing import Final

VALUE: Final = 80
"""Longest value in a message, in characters."""
TEXT: Final = 1000
"""Longest text of a message: what a foreign exception says may be a book."""


_BREAKS: Final = re.compile("[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")


class _Brief(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxlong = self.maxother = VALUE

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write more than 4,300 digits."""
        return repr(x) if x.bit_length() < 200 else f"a whole number of about {x.bit_length() * 0.30103:,.0f} digits"


_BRIEF: Final = _Brief()


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
    r"""`text` on one line, breaks as \n, its middle left out where it is longer than `most` characters."""
    line = _BREAKS.sub(lambda found: repr(found[0])[1:-1], text)
    return line if len(line) <= most else f"{line[: most * 2 // 3]} … {line[-(most // 4) :]}"
