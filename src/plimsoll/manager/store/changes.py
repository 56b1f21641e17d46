"""Staged changes and their logs. A step saves what it decided on, or nothing: see `journal`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

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
class Silent:
    """A computer that counts as offline, and when and from where it was last heard."""

    id: str
    name: str
    address: str
    last_seen: float


@dataclass(frozen=True, slots=True)
class Presence:
    """How many of the computers in question are online, how many of those were seen since a moment; who was not."""

    online: int = 0
    seen: int = 0
    unseen: tuple[str, ...] = ()
    silent: tuple[Silent, ...] = ()


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
    alive after `alive_since` (at most 1000). At most 20 of the unseen are named.
    """
    c = computers.c
    here = c.state == "active"
    if among is not None:
        here = and_(here, c.id.in_(among[:30_000]))
    late = and_(here, c.online, or_(c.last_seen < entered, c.last_seen.is_(None)))
    online = connection.execute(select(func.count()).where(here, c.online)).scalar_one()
    unseen = connection.execute(select(func.count()).where(late)).scalar_one()
    names = select(c.id, c.display_name, c.hostname, c.address, c.last_seen).order_by(c.id)
    missing = connection.execute(names.where(late).limit(20)) if unseen else ()
    gone = connection.execute(names.where(here, c.online.is_(False), c.last_seen >= alive_since).limit(1000))
    return Presence(
        int(online),
        int(online) - int(unseen),
        tuple(_name(row) for row in missing),
        tuple(Silent(row.id, _name(row), row.address, row.last_seen) for row in gone),
    )


def heard(connection: Connection, heartbeats: Mapping[int, int], now: float, factor: float, slack: float) -> int:
    """How many online computers were heard within `factor` of their intervals and `slack` seconds.

    `heartbeats` are seconds by policy; where a computer has an interval of its own, that holds.
    """
    c = computers.c
    within = factor * _interval(heartbeats) + slack
    query = select(func.count()).where(c.state == "active", c.online, c.last_seen >= now - within)
    return int(connection.execute(query).scalar_one())


def last_heard(
    connection: Connection, ids: Collection[str], heartbeats: Mapping[int, int]
) -> dict[str, tuple[float, float]]:
    """When each of these was last heard, 0 for never, and its interval in seconds."""
    c = computers.c
    query = select(c.id, c.last_seen, _interval(heartbeats)).where(c.id.in_(list(ids)[:30_000]))
    return {identifier: (last or 0.0, float(interval)) for identifier, last, interval in connection.execute(query)}


def _interval(heartbeats: Mapping[int, int]) -> ColumnElement[Any]:
    c = computers.c
    return func.coalesce(c.own_heartbeat_seconds, case(dict(heartbeats), value=c.policy_id, else_=0))


def _name(row: Any) -> str:
    return str(row.display_name or row.hostname or row.id)
