"""How many handshakes of each hour came to what: few rows for any fleet, so that years of it are drawn at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, delete, func, literal_column, select

from plimsoll.manager.store._rows import upserting_in
from plimsoll.manager.store.sightings import HOUR, SightingRecord
from plimsoll.manager.store.tables import handshake_totals

_KEY = ["start", "point", "outcome", "negotiated"]
_C = handshake_totals.c


@dataclass(frozen=True, slots=True)
class Total:
    """Handshakes from the hour `start` (since 1970) on. `negotiated` is empty where none was."""

    start: int
    outcome: str
    negotiated: str
    count: int


def add(connection: Connection, batch: Iterable[SightingRecord]) -> None:
    counted: Counter[tuple[int, str, str, str]] = Counter()
    for one in batch:
        counted[int(one.last // HOUR), one.point, one.outcome, one.negotiated] += one.count
    rows = [dict(zip(_KEY, key, strict=True)) | {"count": count} for key, count in counted.items() if count]
    if not rows:
        return
    connection.execute(_counting(connection.dialect.name), rows)


@cache
def _counting(dialect: str) -> Any:
    """Every second's statement."""
    statement = upserting_in(dialect, handshake_totals)
    more = _C["count"] + statement.excluded["count"]
    return statement.on_conflict_do_update(index_elements=_KEY, set_={"count": more})


def since(connection: Connection, start: int, hours: int = 1, point: str = "") -> tuple[Total, ...]:
    """From the hour `start` on, added up over so many hours (of 1970 on, so 24 are days of UTC); oldest first."""
    at = (_C.start - _C.start % literal_column(str(int(hours)))).label("at")
    query = select(at, _C.outcome, _C.negotiated, func.sum(_C["count"])).where(_C.start >= start)
    if point:
        query = query.where(_C.point == point)
    found = connection.execute(query.group_by(at, _C.outcome, _C.negotiated).order_by(at, _C.outcome, _C.negotiated))
    return tuple(Total(int(row[0]), row[1], row[2], int(row[3])) for row in found)


def forget(connection: Connection, before: float) -> None:
    """Those of hours that were over before that time (seconds since 1970)."""
    connection.execute(delete(handshake_totals).where(_C.start < int(before // HOUR)))
