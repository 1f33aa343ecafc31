"""Consoles on which text is data: no file, plugin or exception can style what is shown, or steer the terminal.

A plain string, printed or in a cell of a table, is shown as it is, on one line. Markup is read by `styled` alone, and
only in its template, never in the values.
"""

import re
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from eb_core.registry.wording import visible

NARROWEST: Final = 20
"""Columns that a table gets at least: at COLUMNS=0 nothing at all would be shown."""


def styled(template: str, *values: object) -> Text:
    """Markup with a `{}` for each value; a value is shown as it is, in the style of its place."""
    frame = Text.from_markup(template, emoji=False)
    pieces = frame.divide([edge for place in re.finditer(r"\{\}", frame.plain) for edge in place.span()])
    for index, value in zip(range(1, len(pieces), 2), values, strict=True):
        styles = [span.style for span in pieces[index].spans]
        pieces[index] = Text(visible(str(value)))
        for style in styles:
            pieces[index].stylize(style)
    return Text().join(pieces)


def paragraphs(text: str) -> Text:
    """Text of several lines that stay lines: a docstring, a recipe."""
    return Text("\n".join(visible(line) for line in text.expandtabs().splitlines()))


class Terminal(Console):
    """A console of the command. Whoever prints a string prints data."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, soft_wrap=True, emoji=False, markup=False, **options)
        if self.width < NARROWEST:  # noqa: PLR1730 - a width that was set no longer follows the terminal
            self.width = NARROWEST

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as it is, on one line."""
        return super().render_str(visible(text), **options)
