"""Staged changes and their logs. A step saves what it decided on, or nothing: see `save`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select, update

from plimsoll.manager.store._rows import record, records
from plimsoll.manager.store.tables import change_log, changes, computers
from plimsoll.tls.versions import Version

#: States of a change that is not over.
OPEN = ("awaiting approval", "scheduled", "running", "paused", "halted")


class StaleError(Exception):
    """Somebody else took a step since this one was decided on: nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A row of `tables.changes`."""

    id: int
    created: float
    who: str
    name: str
    via: str
    target: Version
    direction: str
    state: str
    stage: str
    entered: float
    soaked: float
    options: dict[str, Any]
    effects: dict[str, Any]
    seen: dict[str, Any]
    text: str
    approved_by: str | None = None
    ended: float | None = None
    proof: dict[str, Any] | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class LogRecord:
    time: float
    stage: str
    what: str
    text: str
    who: str


@dataclass(frozen=True, slots=True)
class Presence:
    """How many of the computers in question are online, how many of those were seen since a moment."""

    online: int = 0
    seen: int = 0
    silent: tuple[str, ...] = field(default=())


def add(connection: Connection, new: ChangeRecord) -> int:
    values = asdict(new)
    del values["id"]
    made: Any = connection.execute(insert(changes).values(**values))
    return int(made.inserted_primary_key[0])


def get(connection: Connection, change: int) -> ChangeRecord | None:
    return record(ChangeRecord, connection.execute(select(changes).where(changes.c.id == change)).one_or_none())


def find(connection: Connection, limit: int) -> tuple[ChangeRecord, ...]:
    """Newest first."""
    return records(ChangeRecord, connection.execute(select(changes).order_by(changes.c.id.desc()).limit(limit)))


def under_way(connection: Connection) -> ChangeRecord | None:
    """The one change that is not over, if there is one."""
    query = select(changes).where(changes.c.state.in_(OPEN)).order_by(changes.c.id).limit(1)
    return record(ChangeRecord, connection.execute(query).one_or_none())


def save(connection: Connection, before: ChangeRecord, **values: Any) -> None:
    """Changes these columns of the row as it was read. Raises StaleError where it is another one by now."""
    done = connection.execute(
        update(changes)
        .where(changes.c.id == before.id, changes.c.version == before.version)
        .values(version=before.version + 1, **values)
    )
    if done.rowcount != 1:
        raise StaleError(f"change {before.id} has moved on")


def log(connection: Connection, change: int, entry: LogRecord) -> None:
    connection.execute(insert(change_log).values(change=change, **asdict(entry)))


def logs(connection: Connection, change: int, limit: int) -> tuple[LogRecord, ...]:
    """Oldest first, the latest `limit` of them."""
    c = change_log.c
    query = select(c.time, c.stage, c.what, c.text, c.who).where(c.change == change).order_by(c.id.desc()).limit(limit)
    return tuple(reversed(records(LogRecord, connection.execute(query))))


def presence(connection: Connection, entered: float, alive_since: float, among: list[str] | None) -> Presence:
    """Of active computers, or of those `among` them: online, seen since `entered`, and silent although they were
    alive after `alive_since` (their names, at most 1000).
    """
    c = computers.c
    here = c.state == "active"
    if among is not None:
        here = and_(here, c.id.in_(among[:30_000]))
    online = connection.execute(select(func.count()).where(here, c.online)).scalar_one()
    seen = connection.execute(select(func.count()).where(here, c.online, c.last_seen >= entered)).scalar_one()
    gone = (
        select(c.display_name, c.hostname, c.id)
        .where(here, c.online.is_(False), c.last_seen >= alive_since)
        .order_by(c.id)
        .limit(1000)
    )
    names = tuple(row.display_name or row.hostname or row.id for row in connection.execute(gone))
    return Presence(int(online), int(seen), names)
