"""The manager's SQLite file from outside, for what no door of the manager should offer."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def store_of(home: Path) -> Iterator[sqlite3.Connection]:
    """A connection of our own, which commits at the end."""
    connection = sqlite3.connect(home / "plimsoll.db", timeout=20)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def add_events(home: Path, count: int, size: int = 400) -> None:
    """Adds old events, so that an export is far larger than all buffers between two sides."""
    text = "x" * size
    moment = time.time() - 3600
    rows = ((moment, 731, "info", f"event {number} {text}") for number in range(count))
    with store_of(home) as connection:
        connection.executemany("insert into events (time, number, level, description) values (?, ?, ?, ?)", rows)
