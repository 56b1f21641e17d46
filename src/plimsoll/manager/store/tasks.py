"""Scheduled tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, or_, select, update

from plimsoll.manager.store._rows import record, records
from plimsoll.manager.store.tables import scheduled_tasks

_T = scheduled_tasks.c
#: Asked every second, so it is built once.
_DUE = (
    select(scheduled_tasks)
    .where(or_(_T.asked.is_not(None), and_(_T.enabled, _T.next_run <= bindparam("now", type_=_T.next_run.type))))
    .order_by(_T.id)
)


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """Times are seconds since 1970. `schedule` is a normal one of `manager.schedules`."""

    id: int
    name: str
    type: str
    enabled: bool
    schedule: dict[str, Any]
    parameters: dict[str, Any]
    created: float
    who: str
    next_run: float | None
    asked: float | None
    last_run: float | None
    last_ok: bool | None
    last_text: str
    runs: int


def everything(connection: Connection) -> tuple[TaskRecord, ...]:
    return records(TaskRecord, connection.execute(select(scheduled_tasks).order_by(_T.id)))


def get(connection: Connection, task: int) -> TaskRecord | None:
    return record(TaskRecord, connection.execute(select(scheduled_tasks).where(_T.id == task)).one_or_none())


def due(connection: Connection, now: float) -> tuple[TaskRecord, ...]:
    """Those whose time has come, and those that somebody wants to run now."""
    return records(TaskRecord, connection.execute(_DUE, {"now": now}))


def add(connection: Connection, **values: Any) -> int:
    result: Any = connection.execute(insert(scheduled_tasks).values(**values))
    return int(result.inserted_primary_key[0])


def change(connection: Connection, task: int, **values: Any) -> None:
    connection.execute(update(scheduled_tasks).where(_T.id == task).values(**values))


def remove(connection: Connection, task: int) -> None:
    connection.execute(delete(scheduled_tasks).where(_T.id == task))
