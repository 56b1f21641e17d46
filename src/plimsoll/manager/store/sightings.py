"""What peers showed in handshakes: one row for handshakes that are alike, and how often in which hour, later which day.

What is long stands once (`sightings`), what recurs is three numbers (`sighting_counts`): so a year of a large fleet
stays small. A row's id is a hash of what makes handshakes alike, so that counting up needs no look-up.

Rules of this file: work over everything goes in pieces, each a short transaction, because heartbeats wait for writers;
a row whose count is not positive is one whose handshakes were found to be somebody's, and counts as not there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, delete, func, literal_column, or_, select

from plimsoll.manager.store._rows import chunks, upserting, upserting_in
from plimsoll.manager.store.tables import sighting_counts, sightings
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: Seconds in an hour's bucket, and hours in a day's.
HOUR = 3600
DAY = 24

ADMITTED = "admitted"
REFUSED = ("refused", "refused-after-handshake")
FAILED = "failed"
NO_SHARED_SUITE = "no shared cipher"

#: What stands for a fingerprint where sources are no longer kept apart.
FOLDED = "many"


@dataclass(frozen=True, slots=True)
class SightingRecord:
    """Empty texts mean "not known". Alike are handshakes with the same values up to `who`."""

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
    user_agent: str = ""

    @property
    def id(self) -> int:
        """The row of its likes: 64 bits of a hash, signed as databases want it."""
        key = f"{self.point}\0{self.address}\0{self.ja4}\0{self.outcome}\0{self.negotiated}\0{self.who}"
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """All that one peer showed at one point. `who` is empty for a peer without a name, which is its address then."""

    point: str
    who: str
    address: str
    offered: Version | None
    negotiated: str
    refused: Version | None
    count: int
    admitted: int
    refusals: int
    first: float
    last: float
    sni: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sightings. `names`, `address` and `hellos` widen each other: any of them fits; all else narrows.

    `hellos` are nameless sightings with that address and fingerprint.
    """

    point: str | None = None
    names: Collection[str] | None = None
    address: str | None = None
    hellos: Collection[tuple[str, str]] = ()
    offering: Collection[Version] | None = None
    outcomes: Collection[str] | None = None
    since: float | None = None


_COLUMNS = tuple(SightingRecord.__dataclass_fields__)
_BY_ID = ["id"]
_BY_BUCKET = ["sighting", "start", "hours"]


def add(connection: Connection, batch: Iterable[SightingRecord], *, full: bool = False) -> None:
    """Counts each. Where the table is `full`, new nameless sources are counted together, by what they offered."""
    records = list(batch)
    if full:
        records = _folded(connection, records)
    if not records:
        return
    rows: dict[int, dict[str, Any]] = {}
    counts: dict[tuple[int, int], int] = {}
    for record in records:
        identifier = record.id
        bucket = (identifier, int(record.last // HOUR))
        counts[bucket] = counts.get(bucket, 0) + record.count
        row = rows.get(identifier)
        if row is None:
            rows[identifier] = {"id": identifier} | {name: getattr(record, name) for name in _COLUMNS}
            continue
        row["count"] += record.count
        row["first"], row["last"] = min(row["first"], record.first), max(row["last"], record.last)
        row |= {name: getattr(record, name) or row[name] for name in ("sni", "user_agent", "detail")}
    dialect = connection.dialect.name
    connection.execute(_counting(dialect), list(rows.values()))
    buckets = [{"sighting": i, "start": hour, "hours": 1, "count": count} for (i, hour), count in counts.items()]
    connection.execute(_counting_hours(dialect), buckets)


@cache
def _counting(dialect: str) -> Any:
    """Every second's statement: a row each for handshakes that are alike."""
    statement = upserting_in(dialect, sightings)
    c, new = sightings.c, statement.excluded
    kept = ("sni", "user_agent")
    texts = {name: case((new[name] != literal_column("''"), new[name]), else_=c[name]) for name in kept}
    return statement.on_conflict_do_update(
        index_elements=_BY_ID,
        set_={
            "count": c.count + new["count"],
            "first": case((new.first < c.first, new.first), else_=c.first),
            "last": case((new.last > c.last, new.last), else_=c.last),
            "detail": new.detail,
            **texts,
        },
    )


@cache
def _counting_hours(dialect: str) -> Any:
    """And how many of them fell into which hour."""
    statement = upserting_in(dialect, sighting_counts)
    more = sighting_counts.c["count"] + statement.excluded["count"]
    return statement.on_conflict_do_update(index_elements=_BY_BUCKET, set_={"count": more})


def _folded(connection: Connection, records: list[SightingRecord]) -> list[SightingRecord]:
    known: set[int] = set()
    for some in chunks([record.id for record in records if not record.who]):
        known.update(connection.execute(select(sightings.c.id).where(sightings.c.id.in_(some))).scalars())
    return [
        record
        if record.who or record.id in known
        else replace(record, address="", ja4=f"{FOLDED}-{record.offered or 'none'}", sni="", user_agent="", detail="")
        for record in records
    ]


def rows(connection: Connection) -> int:
    """How many kinds of handshakes are kept apart."""
    return int(connection.execute(select(func.count()).select_from(sightings)).scalar_one())


# Asking


def find(connection: Connection, wanted: Wanted, limit: int) -> tuple[SightingRecord, ...]:
    """Newest first. With `since` each count is of the buckets from then on, and a bucket that spans it counts whole."""
    c = sightings.c
    query = select(c.id, *(c[name] for name in _COLUMNS)).where(*_conditions(wanted))
    found = connection.execute(query.order_by(c["last"].desc(), c.id).limit(limit)).all()
    records = [SightingRecord(**{name: row._mapping[name] for name in _COLUMNS}) for row in found]
    if wanted.since is None:
        return tuple(records)
    counted = _counts_since(connection, [row.id for row in found], wanted.since)
    return tuple(
        replace(record, count=counted.get(row.id, record.count)) for row, record in zip(found, records, strict=True)
    )


def peers(connection: Connection, wanted: Wanted, limit: int) -> tuple[PeerRecord, ...]:
    """The same by peer: newest first."""
    c = sightings.c
    nothing: ColumnElement[str] = literal_column("''")
    address = case((c.who == nothing, c.address), else_=nothing).label("peer_address")
    refused = c.outcome.in_(REFUSED)
    zero: ColumnElement[int] = literal_column("0")
    query = (
        select(
            c.point,
            c.who,
            address,
            func.max(c.address).label("address"),
            func.max(c.offered).label("offered"),
            func.max(c.negotiated).label("negotiated"),
            func.max(case((refused, c.offered))).label("refused"),
            func.sum(c["count"]).label("count_"),
            func.sum(case((c.outcome == ADMITTED, c["count"]), else_=zero)).label("admitted"),
            func.sum(case((refused, c["count"]), else_=zero)).label("refusals"),
            func.min(c.first).label("first"),
            func.max(c["last"]).label("last_"),
            func.max(c.sni).label("sni"),
            func.max(c.user_agent).label("user_agent"),
        )
        .where(*_conditions(wanted))
        .group_by(c.point, c.who, address)
        .order_by(func.max(c["last"]).desc())
        .limit(limit)
    )
    return tuple(
        PeerRecord(
            row.point, row.who, row.address, row.offered, row.negotiated, row.refused, int(row.count_),
            int(row.admitted), int(row.refusals), row.first, row.last_, row.sni, row.user_agent,
        )
        for row in connection.execute(query)
    )  # fmt: skip


def fingerprints(connection: Connection, found: Sequence[PeerRecord]) -> dict[tuple[str, str, str], set[str]]:
    """The fingerprints of each peer, by point, name and (where it has none) address."""
    c = sightings.c
    prints: dict[tuple[str, str, str], set[str]] = {}
    for column, values in (
        (c.who, {peer.who for peer in found if peer.who}),
        (c.address, {peer.address for peer in found if not peer.who}),
    ):
        for some in chunks(sorted(values)):
            query = select(c.point, c.who, c.address, c.ja4).where(column.in_(some), c.ja4 != "", c["count"] > 0)
            for point, who, address, ja4 in connection.execute(query.distinct()):
                prints.setdefault((point, who, "" if who else address), set()).add(ja4)
    return prints


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    c = sightings.c
    conditions: list[ColumnElement[bool]] = [c["count"] > 0]
    if wanted.point is not None:
        conditions.append(c.point == wanted.point)
    if wanted.outcomes is not None:
        conditions.append(c.outcome.in_(wanted.outcomes))
    if wanted.offering is not None:
        conditions.append(c.offered.in_(wanted.offering))
    if wanted.since is not None:
        conditions.append(c["last"] >= wanted.since)
    if wanted.names is not None or wanted.address is not None or wanted.hellos:
        fits: list[ColumnElement[bool]] = [c.who.in_(wanted.names or ())]
        if wanted.address is not None:
            fits.append(c.address == wanted.address)
        fits += [and_(c.who == "", c.address == address, c.ja4 == ja4) for address, ja4 in wanted.hellos]
        conditions.append(or_(*fits))
    return conditions


def _counts_since(connection: Connection, ids: Sequence[int], since: float) -> dict[int, int]:
    c = sighting_counts.c
    counted: dict[int, int] = {}
    for some in chunks(ids):
        query = (
            select(c.sighting, func.sum(c["count"]))
            .where(c.sighting.in_(some), c.start + c.hours > since / HOUR)
            .group_by(c.sighting)
        )
        counted.update({identifier: int(count) for identifier, count in connection.execute(query)})
    return counted


def programs(connection: Connection, point: str, since: float, *, but: str) -> Sequence[Any]:
    """Each client (who, address, ja4) that the point admitted, but one `who`, as plain rows; newest first."""
    c = sightings.c
    query = (
        select(
            c.who,
            c.address,
            c.ja4,
            c.offered,
            func.min(c.first).label("since"),
            func.max(c["last"]).label("last"),
            func.max(c.user_agent).label("user_agent"),
        )
        .where(c.point == point, c.outcome == ADMITTED, c["last"] >= since, c.who != but, c["count"] > 0)
        .group_by(c.who, c.address, c.ja4, c.offered)
        .order_by(func.max(c["last"]).desc())
    )
    return connection.execute(query).all()


def refusals(
    connection: Connection, point: str, since: float, *, but: str, of: tuple[str, str, str] | None = None
) -> Sequence[Any]:
    """What the point refused, or shared no suite with, since then, but one `who`: newest last, as plain rows.

    `of` (who, address, ja4) narrows to those that carry that name, and to nameless ones with that hello.
    """
    c = sightings.c
    query = (
        select(c.who, c.address, c.ja4, c.offered, c.outcome, c.detail, c.first, c["last"].label("last_"))
        .where(
            c.point == point,
            c.outcome.in_((*REFUSED, FAILED)),
            or_(c.outcome != FAILED, c.detail == NO_SHARED_SUITE),
            c["last"] >= since,
            c.who != but,
            c["count"] > 0,
        )
        .order_by(c["last"])
    )
    if of is not None:
        who, address, ja4 = of
        query = query.where(or_(c.who == who, and_(c.who == "", c.address == address, c.ja4 == ja4)))
    return connection.execute(query).all()


def newest_refusals(connection: Connection, since: float, limit: int, *, but: str) -> tuple[SightingRecord, ...]:
    """What was refused since then at any point, but one `who`; newest first. Asked along an index, a point at a time:
    refusals are few among the handshakes of a large fleet.
    """
    c = sightings.c
    found: list[SightingRecord] = []
    for point in Point:
        for outcome in REFUSED:
            query = select(*(c[name] for name in _COLUMNS)).where(
                c.point == point.value, c.outcome == outcome, c["last"] >= since, c.who != but, c["count"] > 0
            )
            rows = connection.execute(query.order_by(c["last"].desc()).limit(limit))
            found += [SightingRecord(**row._mapping) for row in rows]
    return tuple(sorted(found, key=lambda one: one.last, reverse=True)[:limit])


def offering_since(connection: Connection, names: Sequence[str]) -> dict[tuple[str, Version], float]:
    """Since when each of these names is seen offering each newest version."""
    c = sightings.c
    since: dict[tuple[str, Version], float] = {}
    for some in chunks(names):
        query = (
            select(c.who, c.offered, func.min(c.first))
            .where(c.who.in_(some), c.outcome == ADMITTED, c["count"] > 0)
            .group_by(c.who, c.offered)
        )
        since.update({(who, offered): first for who, offered, first in connection.execute(query)})
    return since


# Keeping it small


def piece_after(connection: Connection, last: int | None, size: int) -> tuple[int, int] | None:
    """The ids, from and to, of the next so many sightings; None after the last."""
    c = sightings.c
    query: Select[Any] = select(c.id).order_by(c.id).limit(size)
    found = connection.execute(query if last is None else query.where(c.id > last)).scalars().all()
    return None if not found else (found[0], found[-1])


def roll_up(connection: Connection, first: int, last: int, before: int) -> int:
    """Hours that began before that one become days, for the sightings from `first` to `last`; how many hours went."""
    c = sighting_counts.c
    old = (c.sighting.between(first, last), c.hours == 1, c.start < before)
    if connection.execute(select(c.start).where(*old).limit(1)).first() is None:
        return 0
    day = (c.start - c.start % literal_column(str(DAY))).label("day")
    sums = select(c.sighting, day, literal_column(str(DAY)), func.sum(c["count"])).where(*old)
    statement = upserting(connection, sighting_counts).from_select(
        ["sighting", "start", "hours", "count"], sums.group_by(c.sighting, day)
    )
    more = c["count"] + statement.excluded["count"]
    connection.execute(statement.on_conflict_do_update(index_elements=_BY_BUCKET, set_={"count": more}))
    return connection.execute(delete(sighting_counts).where(*old)).rowcount


def forget(connection: Connection, first: int, last: int, before: float) -> int:
    """From `first` to `last`: what was last seen before that time, and counts of before. How many sightings went."""
    c = sightings.c
    old = (c.id.between(first, last), c["last"] < before)
    gone = connection.execute(select(c.id).where(*old)).scalars().all()
    for some in chunks(gone):
        connection.execute(delete(sightings).where(c.id.in_(some)))
        connection.execute(delete(sighting_counts).where(sighting_counts.c.sighting.in_(some)))
    n = sighting_counts.c
    past = (n.sighting.between(first, last), n.start + n.hours <= before / HOUR)
    connection.execute(delete(sighting_counts).where(*past))
    return len(gone)
