"""Upgrades, and each of their computers. A step saves what it decided on, or nothing: see `journal`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, insert, or_, select, update

from plimsoll.fleet.component import parse_or_none
from plimsoll.fleet.upgrades import Candidate
from plimsoll.manager.store._rows import chunks, record, records
from plimsoll.manager.store.journal import Journal, LogRecord, StaleError
from plimsoll.manager.store.tables import computers
from plimsoll.manager.store.upgrade_tables import upgrade_hosts, upgrade_log, upgrades

__all__ = ["OPEN", "LogRecord", "StaleError"]

#: States of an upgrade that is not over.
OPEN = ("running", "paused", "halted")

# States of a computer, in the order in which they come. The last five are ends.
WAITING, ORDERED, WORKING, SWITCHING = "waiting", "ordered", "working", "switching"
DONE, FAILED, BACK, LOST, LEFT = "done", "failed", "back", "lost", "left out"
BAD = (FAILED, BACK, LOST)
#: What a computer said itself; nothing else ends there.
ENDS = (DONE, FAILED, BACK)
#: What an order can still be taken back from.
RECALLABLE = (ORDERED, WORKING)
#: How many names are read where somebody has to look.
NAMED = 200


@dataclass(frozen=True, slots=True)
class UpgradeRecord:
    """A row of `upgrade_tables.upgrades`."""

    id: int
    created: float
    who: str
    name: str
    via: str
    target: str
    state: str
    wave: int
    entered: float
    soaked: float
    options: dict[str, Any]
    seen: dict[str, Any]
    text: str
    ended: float | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A row of `upgrade_tables.upgrade_hosts`."""

    upgrade: int
    computer: str
    name: str
    wave: int
    state: str
    former: str
    goal: str
    package: str = ""
    command: str = ""
    since: float = 0.0
    detail: str = ""
    code: str = ""


_journal = Journal(UpgradeRecord, upgrades, upgrade_log, "upgrade", OPEN)
add = _journal.add
get = _journal.get
find = _journal.find
under_way = _journal.under_way
save = _journal.save
log = _journal.note
logs = _journal.notes

_h = upgrade_hosts.c
_c = computers.c


def add_hosts(connection: Connection, hosts: Sequence[HostRecord]) -> None:
    for some in chunks(hosts):
        connection.execute(insert(upgrade_hosts), [asdict(one) for one in some])


def hosts(
    connection: Connection,
    upgrade: int,
    *,
    states: Collection[str] | None = None,
    wave: int | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> tuple[HostRecord, ...]:
    """In the order of their ids; `after` an id and `limit` make pages."""
    query = select(upgrade_hosts).where(_h.upgrade == upgrade).order_by(_h.computer)
    if states is not None:
        query = query.where(_h.state.in_(states))
    if wave is not None:
        query = query.where(_h.wave == wave)
    if after is not None:
        query = query.where(_h.computer > after)
    if limit is not None:
        query = query.limit(limit)
    return records(HostRecord, connection.execute(query))


def by_command(connection: Connection, command: str) -> HostRecord | None:
    """Whose order that is, or was before it was taken back."""
    query = select(upgrade_hosts).where(_h.command == command)
    return record(HostRecord, connection.execute(query).first())


def move(connection: Connection, host: HostRecord, state: str, now: float, detail: str = "", code: str = "") -> None:
    connection.execute(
        update(upgrade_hosts)
        .where(_h.upgrade == host.upgrade, _h.computer == host.computer)
        .values(state=state, since=now, detail=detail, code=code)
    )


def order(connection: Connection, upgrade: int, commands: Mapping[str, str], now: float) -> None:
    """These computers have their orders, by id."""
    statement = update(upgrade_hosts).where(_h.upgrade == upgrade, _h.computer == bindparam("whose"))
    statement = statement.values(state=ORDERED, since=now, detail="", code="", command=bindparam("given"))
    if commands:
        connection.execute(statement, [{"whose": whose, "given": given} for whose, given in commands.items()])


def move_all(
    connection: Connection,
    upgrade: int,
    states: Collection[str],
    to: str,
    now: float,
    *,
    before: float | None = None,
    wave: int | None = None,
    ids: Sequence[str] | None = None,
    online: bool = False,
    detail: str = "",
    code: str = "",
) -> tuple[str, ...]:
    """Those in these states, since `before` where it is given, are in that one from now on. Their ids.

    `ids` are at most `NAMED`; with `online`, only who is.
    """
    where: list[ColumnElement[bool]] = [_h.upgrade == upgrade, _h.state.in_(states)]
    if before is not None:
        where.append(_h.since < before)
    if wave is not None:
        where.append(_h.wave == wave)
    if ids is not None:
        where.append(_h.computer.in_(ids))
    if online:
        where.append(_h.computer.in_(select(_c.id).where(_c.online)))
    found = tuple(connection.scalars(select(_h.computer).where(*where).order_by(_h.computer)))
    if found:
        connection.execute(update(upgrade_hosts).where(*where).values(state=to, since=now, detail=detail, code=code))
    return found


def restart_clocks(connection: Connection, upgrade: int, now: float) -> None:
    """The wall clock jumped: what is under way is so from now on."""
    connection.execute(
        update(upgrade_hosts).where(_h.upgrade == upgrade, _h.state.in_((WORKING, SWITCHING))).values(since=now)
    )


# -- what is seen


def counts(connection: Connection, upgrade: int) -> dict[int, dict[str, int]]:
    """How many computers are in each state, by wave."""
    query = select(_h.wave, _h.state, func.count()).where(_h.upgrade == upgrade).group_by(_h.wave, _h.state)
    found: dict[int, dict[str, int]] = {}
    for wave, state, count in connection.execute(query):
        found.setdefault(wave, {})[state] = int(count)
    return found


def in_flight(connection: Connection, upgrade: int) -> int:
    """How many online computers have an order and are not through."""
    query = (
        select(func.count())
        .select_from(upgrade_hosts.join(computers, _c.id == _h.computer))
        .where(_h.upgrade == upgrade, _h.state.in_((ORDERED, WORKING, SWITCHING)), _c.online)
    )
    return int(connection.execute(query).scalar_one())


def present(connection: Connection, upgrade: int, wave: int, states: Collection[str]) -> tuple[int, int]:
    """Of the computers of a wave in these states: online, and offline or gone."""
    query = (
        select(_c.online, func.count())
        .select_from(upgrade_hosts.outerjoin(computers, _c.id == _h.computer))
        .where(_h.upgrade == upgrade, _h.wave == wave, _h.state.in_(states))
        .group_by(_c.online)
    )
    online = away = 0
    for here, count in connection.execute(query):
        if here:
            online += int(count)
        else:
            away += int(count)
    return online, away


def offline(connection: Connection, upgrade: int, wave: int, states: Collection[str]) -> tuple[str, ...]:
    """The names of computers of a wave in these states that are offline or gone, at most `NAMED`."""
    query = (
        select(_h.name)
        .select_from(upgrade_hosts.outerjoin(computers, _c.id == _h.computer))
        .where(_h.upgrade == upgrade, _h.wave == wave, _h.state.in_(states))
        .where(or_(_c.online.is_(None), _c.online.is_(False)))
        .order_by(_h.name)
        .limit(NAMED)
    )
    return tuple(connection.scalars(query))


def bad(connection: Connection, upgrade: int, wave: int, since: float) -> dict[str, tuple[str, ...]]:
    """Names by state of those that failed in a wave, or in an earlier one since that moment."""
    query = (
        select(_h.state, _h.name)
        .where(_h.upgrade == upgrade, _h.state.in_(BAD))
        .where(or_(_h.wave == wave, and_(_h.wave < wave, _h.since >= since)))
        .order_by(_h.name)
    )
    found: dict[str, list[str]] = {}
    for state, name in connection.execute(query):
        found.setdefault(state, []).append(name)
    return {state: tuple(names) for state, names in found.items()}


def next_waiting(connection: Connection, upgrade: int, wave: int, limit: int) -> tuple[HostRecord, ...]:
    """Who begins next, up to that wave: those that are online first, since with others an order only waits."""
    query = (
        select(upgrade_hosts)
        .select_from(upgrade_hosts.outerjoin(computers, _c.id == _h.computer))
        .where(_h.upgrade == upgrade, _h.wave <= wave, _h.state == WAITING)
        .order_by(func.coalesce(_c.online, False).desc(), _h.computer)
        .limit(limit)
    )
    return records(HostRecord, connection.execute(query))


def waiting_below(
    connection: Connection, upgrade: int, wave: int, groups: Collection[int]
) -> tuple[tuple[str, str, int], ...]:
    """Id, name and relay group of those that wait up to a wave and are in one of these groups, at most `NAMED`."""
    query = (
        select(_h.computer, _h.name, _c.relay_group_id)
        .select_from(upgrade_hosts.join(computers, _c.id == _h.computer))
        .where(_h.upgrade == upgrade, _h.wave <= wave, _h.state == WAITING, _c.relay_group_id.in_(list(groups)))
        .order_by(_h.name)
        .limit(NAMED)
    )
    return tuple((row[0], row[1], row[2]) for row in connection.execute(query))


def relays(connection: Connection) -> tuple[Candidate, ...]:
    """What the order of waves asks of every active relay."""
    query = select(_c.id, _c.display_name, _c.hostname, _c.version, _c.relay_group_id, _c.online).where(
        _c.kind == "relay", _c.state == "active"
    )
    return tuple(
        Candidate(row[0], row[1] or row[2] or row[0], "relay", parse_or_none(row[3]), row[4], bool(row[5]))
        for row in connection.execute(query)
    )
