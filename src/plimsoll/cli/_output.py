"""How commands speak: results on standard output, talk on standard error with the program's name.

A terminal gets tables drawn with rich; a pipe gets plain aligned columns that awk and grep can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

#: What stands in a cell that has no value.
NOTHING = "-"


class Output:
    """The two streams of a command. `program` names who talks on standard error."""

    def __init__(self, out: TextIO, err: TextIO, program: str = "plimsoll") -> None:
        self.out = out
        self.err = err
        self.program = program
        #: Set while a progress display turns on the terminal: results are drawn above it.
        self.console: Console | None = None

    def line(self, text: str = "") -> None:
        """One line of result."""
        if self.console is not None:
            self.console.out(text, highlight=False)
            return
        self.out.write(f"{text}\n")
        self.out.flush()

    def say(self, text: str) -> None:
        """One or more lines of talk; the first carries the program's name."""
        self.err.write(f"{self.program}: {text}\n")
        self.err.flush()

    def detail(self, text: str) -> None:
        """One indented line of talk that belongs to the last `say`."""
        self.err.write(f"  {text}\n")
        self.err.flush()

    def json(self, data: Any) -> None:
        self.line(json.dumps(data, indent=2, ensure_ascii=False))

    def json_line(self, data: Any) -> None:
        """One compact JSON document on one line, for streams."""
        self.line(json.dumps(data, ensure_ascii=False))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
        """Rows under their headings; the title is shown on a terminal only."""
        cells = [[cell(value) for value in row] for row in rows]
        if self.out.isatty():
            self._draw(columns, cells, title)
            return
        for text in aligned([list(columns), *cells]):
            self.line(text)

    def pairs(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Names and values, one pair a line."""
        for text in aligned([[f"{name}:", cell(value)] for name, value in pairs]):
            self.line(text)

    def _draw(self, columns: Sequence[str], cells: list[list[str]], title: str | None) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*(Text(value) for value in row))
        (self.console or Console(file=self.out)).print(table)


def cell(value: object) -> str:
    """A value as one cell: lists joined, nothing as a dash, line breaks taken out."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value)
    return " ".join(str(value).split())


def aligned(rows: list[list[str]]) -> list[str]:
    """The rows as text with columns of one width, two spaces apart, nothing after the last."""
    widths: list[int] = []
    for row in rows:
        for index, text in enumerate(row):
            if index == len(widths):
                widths.append(0)
            widths[index] = max(widths[index], len(text))
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False)).rstrip() for row in rows]


def when(seconds: object) -> str:
    """A time in seconds since the epoch as UTC; a dash where it is not known."""
    if isinstance(seconds, str) and seconds:
        return seconds
    if not isinstance(seconds, (int, float)) or seconds <= 0:
        return NOTHING
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def when_ms(milliseconds: object) -> str:
    """The same for milliseconds, which the reference's API uses."""
    if isinstance(milliseconds, (int, float)):
        return when(milliseconds / 1000)
    return when(milliseconds)
