"""Shadow floors, and who would have been refused by them, counted by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, case, delete, func, select

from plimsoll.manager.store._rows import record, records, upserting
from plimsoll.manager.store.tables import shadow_floors, shadow_refusals
from plimsoll.tls.versions import Version

DAY = 86400


@dataclass(frozen=True, slots=True)
class ShadowRecord:
    point: str
    floor: Version
    who: str
    since: float


@dataclass(frozen=True, slots=True)
class WouldBeRecord:
    """A client that came in and would not have. `day` counts from the epoch; empty texts are not known.

    `since` is when the shadow floor was set that counted it.
    """

    day: int
    point: str
    floor: str
    who: str
    address: str
    ja4: str
    since: float
    offered: Version | None
    negotiated: Version | None
    count: int
    first: float
    last: float


def read(connection: Connection) -> dict[str, ShadowRecord]:
    return {one.point: one for one in records(ShadowRecord, connection.execute(select(shadow_floors)))}


def put(connection: Connection, shadow: ShadowRecord) -> None:
    values = asdict(shadow)
    statement = upserting(connection, shadow_floors).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["point"], set_=values))


def drop(connection: Connection, point: str) -> None:
    connection.execute(delete(shadow_floors).where(shadow_floors.c.point == point))


def count(connection: Connection, batch: Sequence[WouldBeRecord]) -> None:
    """Adds each to its day."""
    if not batch:
        return
    rows: list[dict[str, Any]] = [asdict(one) for one in batch]
    statement = upserting(connection, shadow_refusals)
    new, old = statement.excluded, shadow_refusals.c
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[column.name for column in shadow_refusals.primary_key],
            set_={
                "count": old.count + new["count"],
                "first": case((new.first < old.first, new.first), else_=old.first),
                "last": case((new.last > old["last"], new.last), else_=old["last"]),
                "offered": new.offered,
                "negotiated": new.negotiated,
            },
        ),
        rows,
    )


def last(connection: Connection, point: str, since: float = 0.0) -> WouldBeRecord | None:
    """The newest would-be refusal at the point."""
    c = shadow_refusals.c
    query = (
        select(shadow_refusals)
        .where(c.point == point, c["last"] >= since, c["count"] > 0)
        .order_by(c["last"].desc())
        .limit(1)
    )
    return record(WouldBeRecord, connection.execute(query).one_or_none())


def total(connection: Connection, point: str, since: float) -> int:
    """What the shadow floor has counted that was set then."""
    c = shadow_refusals.c
    query = select(func.coalesce(func.sum(c["count"]), 0)).where(c.point == point, c.since == since, c["count"] > 0)
    return int(connection.execute(query).scalar_one())


def report(connection: Connection, since: float, limit: int) -> tuple[WouldBeRecord, ...]:
    """By day, the newest first, and within it whoever came most often."""
    c = shadow_refusals.c
    # Nobody is left in a row that was taken back when it became known who it was.
    query = select(shadow_refusals).where(c["last"] >= since, c["count"] > 0)
    query = query.order_by(c.day.desc(), c["count"].desc()).limit(limit)
    return records(WouldBeRecord, connection.execute(query))


def forget(connection: Connection, before: float) -> int:
    return int(connection.execute(delete(shadow_refusals).where(shadow_refusals.c["last"] < before)).rowcount)
