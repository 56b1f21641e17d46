"""Who is told of events, and up to which event each was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from plimsoll.manager.store._rows import record, records
from plimsoll.manager.store.tables import events, notifications


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """`numbers` are the only event numbers wanted; none: all of that level."""

    id: int
    name: str
    kind: str
    level: str
    active: bool
    cursor: int
    created: float
    who: str
    settings: dict[str, Any] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    secret: str = ""
    delivered: float | None = None
    failing_since: float | None = None
    problem: str = ""
    told: bool = False


def find(connection: Connection) -> tuple[TargetRecord, ...]:
    return records(TargetRecord, connection.execute(select(notifications).order_by(notifications.c.id)))


def get(connection: Connection, target: int) -> TargetRecord | None:
    return record(TargetRecord, connection.execute(select(notifications).where(notifications.c.id == target)).first())


def add(connection: Connection, **values: Any) -> int:
    result: Any = connection.execute(insert(notifications).values(**values))
    return int(result.inserted_primary_key[0])


def save(connection: Connection, target: int, **values: Any) -> bool:
    """Whether it is still there."""
    changed = connection.execute(update(notifications).where(notifications.c.id == target).values(**values))
    return changed.rowcount > 0


def remove(connection: Connection, target: int) -> None:
    connection.execute(delete(notifications).where(notifications.c.id == target))


def newest_event(connection: Connection) -> int:
    return connection.execute(select(func.max(events.c.id))).scalar_one() or 0


def waiting(connection: Connection, cursor: int) -> int:
    """How many events came after that one, wanted or not."""
    return connection.execute(select(func.count()).select_from(events).where(events.c.id > cursor)).scalar_one()
