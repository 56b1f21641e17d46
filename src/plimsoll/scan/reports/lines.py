"""Lines for a person's terminal: coloured where that is asked for, wrapped, and never steered by a stranger's words."""

from __future__ import annotations

import textwrap
from typing import IO, Final

from plimsoll.scan.reports.text import printable

RED, GREEN, YELLOW, DIM, BOLD, OFF = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
_LEAST_WIDTH: Final = 60


class Lines:
    """Writes lines. `colour` uses ANSI sequences; long sentences are wrapped at `width`."""

    def __init__(self, out: IO[str], colour: bool, width: int) -> None:
        self._out = out
        self._colour = colour
        self._width = max(width, _LEAST_WIDTH)

    def wrapped(self, head: str, text: str, colour: str = "") -> None:
        """A head, and a sentence beside it that may take several lines."""
        if len(head) + len(text) <= self._width:
            self.line(f"{head}{text}".rstrip(), colour)
            return
        for line in textwrap.wrap(
            text, self._width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
        ):
            self.line(line, colour)

    def line(self, text: str, colour: str = "") -> None:
        # What a server says of itself must not steer the reader's terminal.
        text = printable(text)
        self._out.write(f"{colour}{text}{OFF}\n" if colour and self._colour else f"{text}\n")
