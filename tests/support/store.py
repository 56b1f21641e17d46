"""The manager's store from outside, for what no door of the manager should offer."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from plimsoll.manager.store import Store
from plimsoll.manager.store.tables import metadata


def dump_of(store: Store) -> list[str]:
    """Every row that there is, as text."""
    return store.read(
        lambda c: [
            f"{table.name}: {tuple(row)}"
            for table in metadata.sorted_tables
            for row in sorted(c.execute(sa.select(*table.columns)).all(), key=str)
        ]
    )


@contextlib.contextmanager
def store_of(home: Path) -> Iterator[sqlite3.Connection]:
    """A connection of our own to the file, which commits at the end."""
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
