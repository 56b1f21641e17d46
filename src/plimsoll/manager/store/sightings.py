"""Sightings in buckets of an hour: handshakes that are alike share a row and count up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, delete, func, select

from plimsoll.manager.store._rows import records, upserting
from plimsoll.manager.store.tables import sightings
from plimsoll.tls.versions import Version

#: The length of a bucket, in seconds.
BUCKET = 3600


@dataclass(frozen=True, slots=True)
class SightingRecord:
    """Empty texts mean "not known": they are part of the key, where a NULL would equal nothing."""

    point: str
    address: str
    ja4: str
    outcome: str
    negotiated: str
    who: str
    offered: Version | None
    versions: list[str]
    sni: str
    count: int
    first: float
    last: float
    detail: str


_COLUMNS = tuple(SightingRecord.__dataclass_fields__)


def add(connection: Connection, batch: Sequence[SightingRecord]) -> None:
    """Adds each to its bucket."""
    if not batch:
        return
    rows: list[dict[str, Any]] = [
        {name: getattr(item, name) for name in _COLUMNS} | {"hour": int(item.last // BUCKET)} for item in batch
    ]
    statement = upserting(connection, sightings)
    new = statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[column.name for column in sightings.primary_key],
            set_={
                "count": sightings.c.count + new["count"],
                "first": case((new.first < sightings.c.first, new.first), else_=sightings.c.first),
                "last": case((new.last > sightings.c.last, new.last), else_=sightings.c.last),
                "detail": new.detail,
                "sni": new.sni,
            },
        ),
        rows,
    )


def newest(connection: Connection, limit: int) -> tuple[SightingRecord, ...]:
    query = select(*(sightings.c[name] for name in _COLUMNS)).order_by(sightings.c["last"].desc()).limit(limit)
    return records(SightingRecord, connection.execute(query))


def programs(connection: Connection, point: str, since: float, *, but: str) -> Sequence[Any]:
    """The newest admitted sighting of each client (who, address, ja4) at the point but one `who`, as plain rows."""
    c = sightings.c
    query = (
        select(c.who, c.address, c.ja4, c.offered, func.max(c["last"]).label("last"))
        .where(c.point == point, c.outcome == "admitted", c["last"] >= since, c.who != but)
        .group_by(c.who, c.address, c.ja4, c.offered)
        .order_by(func.max(c["last"]).desc())
    )
    return connection.execute(query).all()


def forget(connection: Connection, before: float) -> int:
    """Deletes buckets that ended before that time."""
    return connection.execute(delete(sightings).where(sightings.c["last"] < before)).rowcount
