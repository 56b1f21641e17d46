"""Floors of 4119 and 4120, and the history of all points."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, delete, insert, select

from plimsoll.manager.store._rows import records, upserting
from plimsoll.manager.store.tables import floor_history, floors
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    generation: int
    time: float
    point: str
    before: Version | None
    floor: Version
    who: str
    via: str = ""
    address: str = ""
    cause: str = "set"
    forced: bool = False
    reason: str | None = None
    named: list[str] = field(default_factory=list)
    policy: str | None = None


def read(connection: Connection) -> dict[str, Version]:
    return {row.point: row.version for row in connection.execute(select(floors))}


def put(connection: Connection, point: str, version: Version) -> None:
    statement = upserting(connection, floors).values(point=point, version=version)
    connection.execute(statement.on_conflict_do_update(index_elements=["point"], set_={"version": version}))


def drop(connection: Connection, point: str) -> None:
    connection.execute(delete(floors).where(floors.c.point == point))


def add_history(connection: Connection, entry: HistoryRecord) -> None:
    connection.execute(insert(floor_history).values(**asdict(entry)))


def history(connection: Connection, limit: int) -> tuple[HistoryRecord, ...]:
    columns = [column for column in floor_history.c if column.name != "id"]
    return records(HistoryRecord, connection.execute(select(*columns).order_by(floor_history.c.id.desc()).limit(limit)))
