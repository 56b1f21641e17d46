"""Rotations of the CA, and how far each computer is. A step saves what it decided on, or nothing (`journal`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, or_, select, update

from plimsoll.fleet.ca_rotation import Fact
from plimsoll.manager.store._rows import records
from plimsoll.manager.store.ca_tables import ca_rotation_log, ca_rotations
from plimsoll.manager.store.journal import Journal, LogRecord, StaleError
from plimsoll.manager.store.tables import commands, computers, tokens

__all__ = ["OPEN", "LogRecord", "StaleError"]

# States of a rotation. In the first three both authorities are trusted; the last two are ends.
ANNOUNCE, SWITCH, BACK, RETIRED, WITHDRAWN = "announce", "switch", "back", "retired", "withdrawn"
OPEN = (ANNOUNCE, SWITCH, BACK)
#: How many names are read where somebody has to look.
NAMED = 200
RENEW = "renew-certificate"


@dataclass(frozen=True, slots=True)
class RotationRecord:
    """A row of `ca_tables.ca_rotations`."""

    id: int
    created: float
    who: str
    name: str
    via: str
    state: str
    entered: float
    soaked: float
    old: str
    new: str
    new_with_old: str
    old_with_new: str
    switched: float | None
    options: dict[str, Any]
    seen: dict[str, Any]
    text: str
    ended: float | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """What a rotation asks of one computer, see `tables.computers`."""

    id: str
    name: str
    kind: str
    state: str
    online: bool
    last_seen: float | None
    capability: int
    ca_trusts: str
    ca_shown: str

    @property
    def fact(self) -> Fact:
        return Fact(self.online, self.capability, self.ca_trusts, self.ca_shown)


_journal = Journal(RotationRecord, ca_rotations, ca_rotation_log, "rotation", OPEN)
add = _journal.add
get = _journal.get
find = _journal.find
under_way = _journal.under_way
save = _journal.save
log = _journal.note
logs = _journal.notes

_c = computers.c
_NAME = func.coalesce(func.nullif(_c.display_name, ""), func.nullif(_c.hostname, ""), _c.id)
_ACTIVE = _c.state == "active"


def newest(connection: Connection) -> RotationRecord | None:
    """The one that says who issues; None where the CA was never rotated."""
    return next(iter(find(connection, 1)), None)


def counts(connection: Connection) -> dict[Fact, int]:
    """How many active computers there are of each kind that a rotation tells apart."""
    columns = (_c.online, _c.capability, _c.ca_trusts, _c.ca_shown)
    query = select(*columns, func.count()).where(_ACTIVE).group_by(*columns)
    return {Fact(bool(row[0]), int(row[1]), row[2], row[3]): int(row[4]) for row in connection.execute(query)}


def members(
    connection: Connection, *, after: str | None = None, limit: int | None = None, ids: Collection[str] | None = None
) -> tuple[MemberRecord, ...]:
    """Active computers, in the order of their ids; `after` an id and `limit` make pages."""
    query = _members().where(_ACTIVE).order_by(_c.id)
    if after is not None:
        query = query.where(_c.id > after)
    if ids is not None:
        query = query.where(_c.id.in_(ids))
    if limit is not None:
        query = query.limit(limit)
    return records(MemberRecord, connection.execute(query))


def without(
    connection: Connection, *, trusts: str = "", shown: str = "", limit: int = NAMED
) -> tuple[MemberRecord, ...]:
    """Active computers that do not trust exactly that, or do not show a certificate of that authority; by name."""
    where = _c.ca_trusts != trusts if trusts else _c.ca_shown != shown
    return records(
        MemberRecord, connection.execute(_members().where(_ACTIVE, where).order_by(_NAME, _c.id).limit(limit))
    )


def to_ask(connection: Connection, goal: str, before: float, visited: Collection[int], limit: int) -> tuple[str, ...]:
    """Online computers that show no certificate of the authority `goal` and were not asked to renew since `before`.

    Not those that only wait for visits, by a direction of their own or by one of the policies `visited`.
    """
    initiated = or_(
        func.coalesce(_c.own_direction, "") == "manager-initiated",
        and_(_c.own_direction.is_(None), _c.policy_id.in_(list(visited))),
    )
    asked = select(commands.c.computer).where(
        commands.c.kind == RENEW, or_(commands.c.done.is_(None), commands.c.created >= before)
    )
    query = select(_c.id).where(_ACTIVE, _c.online, _c.ca_shown != goal, ~initiated, _c.id.not_in(asked))
    return tuple(connection.scalars(query.order_by(_c.id).limit(limit)))


def name_issuer(connection: Connection, authority: str) -> None:
    """Whose certificate's issuer is not known yet has one of that authority: there was no other."""
    connection.execute(update(computers).where(_c.ca_issuer == "").values(ca_issuer=authority, ca_shown=authority))


def leave_behind(connection: Connection, shown: str) -> tuple[tuple[str, str], ...]:
    """Id and name of the active computers that show no certificate of that authority: from now on they are revoked."""
    where: tuple[ColumnElement[bool], ...] = (_ACTIVE, _c.ca_shown != shown)
    found = tuple((row[0], row[1]) for row in connection.execute(select(_c.id, _NAME).where(*where).order_by(_NAME)))
    if found:
        connection.execute(update(computers).where(*where).values(state="revoked", online=False))
    return found


def drop_requests(connection: Connection) -> tuple[str, ...]:
    """Takes back the requests to renew that nobody took home; whose they were."""
    where = (commands.c.kind == RENEW, commands.c.done.is_(None))
    found = tuple(connection.scalars(select(commands.c.computer).where(*where).distinct()))
    if found:
        connection.execute(delete(commands).where(*where))
    return found


def tokens_before(connection: Connection, moment: float, now: float) -> int:
    """How many activation tokens were made before that moment and are still good."""
    t = tokens.c
    query = select(func.count()).select_from(tokens).where(t.created < moment, t.expires > now)
    return int(connection.execute(query.where(or_(t.uses_left.is_(None), t.uses_left > 0))).scalar_one())


def _members() -> Select[Any]:
    return select(
        _c.id, _NAME.label("name"), _c.kind, _c.state, _c.online, _c.last_seen, _c.capability, _c.ca_trusts, _c.ca_shown
    )
