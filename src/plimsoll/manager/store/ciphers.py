"""Cipher profiles of 4119 and 4120 with their history, and the suites that kinds of clients were seen offering."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, delete, func, insert, or_, select

from plimsoll.manager.store._rows import chunks, records, upserting
from plimsoll.manager.store.tables import cipher_history, cipher_profiles, offered_suites


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    time: float
    point: str
    before: str
    profile: str
    who: str
    via: str = ""
    address: str = ""
    forced: bool = False
    reason: str | None = None
    named: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Offer:
    """The suites that a kind of client offers. `mark` is its fingerprint's part about them."""

    mark: str
    suites: tuple[int, ...]
    named: bool


def read(connection: Connection) -> dict[str, str]:
    """The profiles that were set, by point."""
    return {row.point: row.profile for row in connection.execute(select(cipher_profiles))}


def put(connection: Connection, entry: ProfileRecord) -> None:
    """The entry's profile holds at its point from now on, and the history says so."""
    statement = upserting(connection, cipher_profiles).values(point=entry.point, profile=entry.profile)
    connection.execute(statement.on_conflict_do_update(index_elements=["point"], set_={"profile": entry.profile}))
    connection.execute(insert(cipher_history).values(**asdict(entry)))


def history(connection: Connection, limit: int) -> tuple[ProfileRecord, ...]:
    """Newest first."""
    columns = [column for column in cipher_history.c if column.name != "id"]
    query = select(*columns).order_by(cipher_history.c.id.desc()).limit(limit)
    return records(ProfileRecord, connection.execute(query))


# What clients offer


def add_offers(connection: Connection, found: Iterable[Offer], now: float, most: int) -> None:
    """Notes what kinds of clients offer. Where there are more than so many, the oldest go, nameless ones first."""
    rows = [{"mark": one.mark, "suites": list(one.suites), "named": one.named, "seen": now} for one in found]
    if not rows:
        return
    statement = upserting(connection, offered_suites)
    named = or_(offered_suites.c.named, statement.excluded.named)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["mark"], set_={"seen": statement.excluded.seen, "named": named}
        ),
        rows,
    )
    too_many = connection.execute(select(func.count()).select_from(offered_suites)).scalar_one() - most
    if too_many > 0:
        c = offered_suites.c
        oldest = select(c.mark).order_by(c.named, c.seen, c.mark).limit(too_many)
        for some in chunks(connection.execute(oldest).scalars().all()):
            connection.execute(delete(offered_suites).where(c.mark.in_(some)))


def offers(connection: Connection) -> dict[str, frozenset[int]]:
    """All that is known, by mark."""
    return {row.mark: frozenset(row.suites) for row in connection.execute(select(offered_suites))}


def forget_offers(connection: Connection, before: float) -> int:
    """What was last seen before that time goes; how many."""
    return connection.execute(delete(offered_suites).where(offered_suites.c.seen < before)).rowcount
