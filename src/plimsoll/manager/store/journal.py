"""Durable work that goes step by step: a row for what it is, a log of what was done. A step saves all of it or nothing.

Each row carries a `version` that counts up with every step: who decided on an older one decided on nothing (`save`).
So two managers never take the same step, and a manager that is killed between two goes on from the last one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Table, insert, select, update

from plimsoll.manager.store._rows import record, records


class StaleError(Exception):
    """Somebody else took a step since this one was decided on: nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    time: float
    stage: str
    what: str
    text: str
    who: str


class Entry(Protocol):
    """What every row of such a table has."""

    @property
    def id(self) -> int: ...

    @property
    def version(self) -> int: ...


E = TypeVar("E", bound=Entry)


class Journal(Generic[E]):
    """One table of such work with its log. `owner` is the log's column that names the row."""

    def __init__(self, kind: type[E], table: Table, log: Table, owner: str, open_states: Collection[str]) -> None:
        self._kind = kind
        self._table = table
        self._log = log
        self._owner = owner
        # Asked again and again while nothing is under way, so it is built once.
        self._under_way = select(table).where(table.c.state.in_(tuple(open_states))).order_by(table.c.id).limit(1)

    def add(self, connection: Connection, new: E) -> int:
        values = asdict(new)  # type: ignore[call-overload]  # every record is a dataclass
        del values["id"]
        made: Any = connection.execute(insert(self._table).values(**values))
        return int(made.inserted_primary_key[0])

    def get(self, connection: Connection, identifier: int) -> E | None:
        query = select(self._table).where(self._table.c.id == identifier)
        return record(self._kind, connection.execute(query).one_or_none())

    def find(self, connection: Connection, limit: int) -> tuple[E, ...]:
        """Newest first."""
        query = select(self._table).order_by(self._table.c.id.desc()).limit(limit)
        return records(self._kind, connection.execute(query))

    def under_way(self, connection: Connection) -> E | None:
        """The one that is not over, if there is one."""
        return record(self._kind, connection.execute(self._under_way).one_or_none())

    def save(self, connection: Connection, before: E, **values: Any) -> None:
        """Changes these columns of the row as it was read. Raises StaleError where it is another one by now."""
        c = self._table.c
        done = connection.execute(
            update(self._table)
            .where(c.id == before.id, c.version == before.version)
            .values(version=before.version + 1, **values)
        )
        if done.rowcount != 1:
            raise StaleError(f"{self._owner} {before.id} has moved on")

    def note(self, connection: Connection, identifier: int, entry: LogRecord) -> None:
        connection.execute(insert(self._log).values(**{self._owner: identifier}, **asdict(entry)))

    def notes(self, connection: Connection, identifier: int, limit: int) -> tuple[LogRecord, ...]:
        """Oldest first, the latest `limit` of them."""
        c = self._log.c
        query = select(c.time, c.stage, c.what, c.text, c.who).where(c[self._owner] == identifier)
        return tuple(reversed(records(LogRecord, connection.execute(query.order_by(c.id.desc()).limit(limit)))))
