"""System events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select

from plimsoll.manager.store._rows import records
from plimsoll.manager.store.tables import events


@dataclass(frozen=True, slots=True)
class EventRecord:
    id: int
    time: float
    number: int
    level: str
    description: str
    computer: str | None = None
    target: str = ""
    origin: str = "manager"
    extra: dict[str, Any] = field(default_factory=dict)


def add(connection: Connection, **values: Any) -> int:
    result: Any = connection.execute(insert(events).values(**values))
    return int(result.inserted_primary_key[0])


def open_problems(connection: Connection, problem: int, resolved: int, since: float) -> dict[str, tuple[str, float]]:
    """Computers whose last event of the two since then is the problem: what it was, and when."""
    c = events.c
    newest = (
        select(func.max(c.id))
        .where(c.number.in_((problem, resolved)), c.time >= since, c.computer.is_not(None))
        .group_by(c.computer)
    )
    query = select(c.computer, c.time, c.extra).where(c.id.in_(newest), c.number == problem)
    return {row.computer: (str(row.extra.get("problem", "TLS")), row.time) for row in connection.execute(query)}


def search(
    connection: Connection,
    *,
    before: int | None,
    limit: int,
    words: Iterable[str],
    numbers: Mapping[str, Collection[int]],
    level: str,
    computer: str | None,
) -> tuple[EventRecord, ...]:
    """Newest first. Every word stands in the text or the target, or belongs to one of its `numbers`."""
    c = events.c
    query = select(events).order_by(c.id.desc()).limit(limit)
    for word in words:
        query = query.where(
            or_(
                c.description.icontains(word, autoescape=True),
                c.target.icontains(word, autoescape=True),
                c.number.in_(numbers.get(word, ())),
            )
        )
    if level:
        query = query.where(c.level == level)
    if computer is not None:
        query = query.where(c.computer == computer)
    if before is not None:
        query = query.where(c.id < before)
    return records(EventRecord, connection.execute(query))


def find(
    connection: Connection, *, after: int | None, limit: int, computer: str | None = None
) -> tuple[EventRecord, ...]:
    """Those after an id, oldest first; without one the newest, oldest first too."""
    query = select(events).limit(limit)
    if computer is not None:
        query = query.where(events.c.computer == computer)
    if after is not None:
        query = query.where(events.c.id > after).order_by(events.c.id)
        return records(EventRecord, connection.execute(query))
    return records(EventRecord, connection.execute(query.order_by(events.c.id.desc())))[::-1]
