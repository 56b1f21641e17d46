"""Staged changes and their logs. A step saves what it decided on, or nothing: see `journal`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, func, select

from plimsoll.manager.store.journal import Journal, LogRecord, StaleError
from plimsoll.manager.store.tables import change_log, changes, computers
from plimsoll.tls.versions import Version

__all__ = ["OPEN", "ChangeRecord", "LogRecord", "Presence", "StaleError"]

#: States of a change that is not over.
OPEN = ("awaiting approval", "scheduled", "running", "paused", "halted")


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
class Presence:
    """How many of the computers in question are online, how many of those were seen since a moment."""

    online: int = 0
    seen: int = 0
    silent: tuple[str, ...] = field(default=())


_journal = Journal(ChangeRecord, changes, change_log, "change", OPEN)
add = _journal.add
get = _journal.get
find = _journal.find
under_way = _journal.under_way
save = _journal.save
log = _journal.note
logs = _journal.notes


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
