"""Rules that move the floor for one source network or computer: exceptions, and the canaries of changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from plimsoll.manager.store._rows import record, records
from plimsoll.manager.store.tables import computers, rules
from plimsoll.tls.versions import Version

EXCEPTION = "exception"
CANARY = "canary"


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """One of `source` and `computer` is set. `ended` is when it ended, None while it is in force."""

    id: int
    point: str
    floor: Version
    source: str | None
    computer: str | None
    until: float | None
    reason: str
    who: str
    created: float
    kind: str = EXCEPTION
    owner: str = ""
    warned: int = 0
    ended: float | None = None


def add(connection: Connection, rule: RuleRecord) -> int:
    """The new rule's id; the record's own is not used."""
    values = asdict(rule)
    del values["id"]
    made: Any = connection.execute(insert(rules).values(**values))
    return int(made.inserted_primary_key[0])


def in_force(connection: Connection) -> tuple[RuleRecord, ...]:
    """All that have not ended; whether one's time is up is for whoever has a clock."""
    return records(RuleRecord, connection.execute(select(rules).where(rules.c.ended.is_(None)).order_by(rules.c.id)))


def exceptions(connection: Connection, limit: int, *, ended: bool) -> tuple[RuleRecord, ...]:
    """Newest first; with those that have ended, or without them."""
    query = select(rules).where(rules.c.kind == EXCEPTION).order_by(rules.c.id.desc()).limit(limit)
    return records(RuleRecord, connection.execute(query if ended else query.where(rules.c.ended.is_(None))))


def get(connection: Connection, rule: int) -> RuleRecord | None:
    return record(RuleRecord, connection.execute(select(rules).where(rules.c.id == rule)).one_or_none())


def end(connection: Connection, rule: int, now: float) -> None:
    connection.execute(update(rules).where(rules.c.id == rule, rules.c.ended.is_(None)).values(ended=now))


def note_warned(connection: Connection, rule: int, warned: int) -> None:
    connection.execute(update(rules).where(rules.c.id == rule).values(warned=warned))


def put_canary(
    connection: Connection, owner: str, point: str, floor: Version, chosen: Sequence[str], who: str, now: float
) -> None:
    """These computers, and no others of that owner, are held to that floor at the point."""
    drop_canary(connection, owner)
    rows = [
        {"point": point, "floor": floor, "computer": computer, "reason": f"canary of {owner}", "who": who,
         "created": now, "kind": CANARY, "owner": owner}
        for computer in chosen
    ]  # fmt: skip
    if rows:
        connection.execute(insert(rules), rows)


def drop_canary(connection: Connection, owner: str) -> None:
    connection.execute(delete(rules).where(rules.c.kind == CANARY, rules.c.owner == owner))


def canaries(connection: Connection) -> dict[str, int]:
    """How many computers each owner holds to a higher floor."""
    found: dict[str, int] = {}
    for (owner,) in connection.execute(select(rules.c.owner).where(rules.c.kind == CANARY)):
        found[owner] = found.get(owner, 0) + 1
    return found


def addresses(connection: Connection) -> tuple[tuple[str, str], ...]:
    """(address, computer) of each computer with an exception: those addresses are admitted before the certificate."""
    named = select(rules.c.computer).where(
        rules.c.computer.is_not(None), rules.c.ended.is_(None), rules.c.kind == EXCEPTION
    )
    rows = connection.execute(select(computers.c.address, computers.c.id).where(computers.c.id.in_(named)))
    return tuple((row.address, row.id) for row in rows if row.address)
