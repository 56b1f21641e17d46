"""How the demonstration talks: steps with progress, claims with what was seen, tables."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.cli._output import Output

PROVED, NOT_PROVED = "✓", "✗"


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that the demonstration says, and the handshake that shows it."""

    text: str
    seen: str
    proved: bool


class Teller:
    """Tells the story on the command's streams. With `quiet` (for --json) only talk goes out."""

    def __init__(self, output: Output, quiet: bool, steps: int) -> None:
        self._output = output
        self._quiet = quiet
        self._steps = steps
        self._step = 0
        self._started = time.monotonic()
        self._live = not quiet and output.out.isatty()
        self.claims: list[Claim] = []
        self.tables: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step; on a terminal a spinner turns until it is done."""
        self._step += 1
        heading = f"[{self._step}/{self._steps}] {title}"
        self._line("")
        self._line(heading)
        if not self._live:
            if self._quiet:
                self._output.say(heading)
            yield
            return
        from rich.console import Console

        # Spinner and results share one console, so that neither is written into the other.
        self._output.console = Console(file=self._output.out)
        try:
            with self._output.console.status(f"{title} …"):
                yield
        finally:
            self._output.console = None

    def talk(self, text: str) -> None:
        """What is going on, for a person."""
        self._line(f"    {text}")

    def claim(self, text: str, seen: str, proved: bool, *, in_table: bool = False) -> str:
        """Keeps a claim and returns its mark. One that a table's row shows is told only where it was not proved."""
        self.claims.append(Claim(text, seen, proved))
        mark = PROVED if proved else NOT_PROVED
        if not (in_table and proved):
            self._line(f"  {mark} {text}: {seen}")
        return mark

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table with a mark in the last column of each row."""
        names = [column.lower().replace(" ", "_") for column in columns]
        self.tables.append({"title": title, "rows": [dict(zip(names, row, strict=True)) for row in rows]})
        if self._quiet:
            return
        self._line("")
        if not self._output.out.isatty():
            self._line(title)
        self._output.table(columns, rows, title)
        self._line("")

    @property
    def proved(self) -> bool:
        return bool(self.claims) and all(claim.proved for claim in self.claims)

    def report(self) -> dict[str, Any]:
        return {
            "proved": self.proved,
            "seconds": round(time.monotonic() - self._started, 1),
            "claims": [{"claim": one.text, "seen": one.seen, "proved": one.proved} for one in self.claims],
            "tables": self.tables,
        }

    def end(self) -> None:
        """The last line: how much of what was said was seen."""
        proved = sum(claim.proved for claim in self.claims)
        seconds = time.monotonic() - self._started
        self._line("")
        self._line(f"{proved} of {len(self.claims)} claims were seen in handshakes, in {seconds:.0f} s.")

    def _line(self, text: str) -> None:
        if not self._quiet:
            self._output.line(text)
