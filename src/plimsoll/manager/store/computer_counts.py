"""How many computers are alike, counted in the database: no row of them is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from plimsoll.manager.store.tables import computers
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class GivenGroup:
    """How many computers of one kind and policy hold the same given floors."""

    policy_id: int
    kind: str
    sent: bool
    agent_floor: Version | None
    relay_floor: Version | None
    count: int


def given_groups(connection: Connection) -> tuple[GivenGroup, ...]:
    """The given floors of all computers, counted in the database."""
    c = computers.c
    sent = c.floors_sent_at.is_not(None)
    keys = (c.policy_id, c.kind, sent, c.agent_floor_given, c.relay_floor_given)
    rows = connection.execute(select(*keys, func.count()).group_by(*keys))
    return tuple(GivenGroup(row[0], row[1], bool(row[2]), row[3], row[4], row[5]) for row in rows)


def agent_floors_given(connection: Connection) -> Iterator[tuple[int, str, Version | None, int]]:
    """How many of each policy and kind were given which agent floor; alike ones may come more than once."""
    c = computers.c
    # In the order of the index that holds all of these: then nothing is sorted, and no row is read.
    own = (c.own_heartbeat_seconds, c.own_missed_heartbeats, c.own_direction)
    keys = (c.policy_id, c.policy_fingerprint, c.agent_floor_given, *own, c.kind)
    for row in connection.execute(select(*keys, func.count()).group_by(*keys)):
        yield row[0], row[6], row[2], row[7]


def ports_in_use(connection: Connection, name: str, limit: int) -> tuple[int, ...]:
    """The `listen_port` or `relay_port` of active computers, the most common first."""
    port = computers.c[name]
    query = select(port).where(port.is_not(None), computers.c.state == "active").group_by(port)
    return tuple(connection.scalars(query.order_by(func.count().desc(), port).limit(limit)))


def longest_own_heartbeat(connection: Connection) -> int:
    """The longest interval that a computer has apart from its policy, 0 where none has."""
    return connection.scalar(select(func.max(computers.c.own_heartbeat_seconds))) or 0


def by_relay_group(connection: Connection) -> dict[int, int]:
    """How many computers each relay group has, relays included."""
    group = computers.c.relay_group_id
    query = select(group, func.count()).where(group.is_not(None)).group_by(group)
    return {identifier: int(count) for identifier, count in connection.execute(query)}


def counted_by_policy(connection: Connection) -> dict[int, int]:
    """How many computers have each policy, revoked ones not counted."""
    c = computers.c
    query = select(c.policy_id, func.count()).where(c.state != "revoked").group_by(c.policy_id)
    return {policy: int(count) for policy, count in connection.execute(query)}


def counted(connection: Connection) -> tuple[tuple[str, str, bool, Version | None, int], ...]:
    """How many are alike in kind, state, presence and newest version offered."""
    c = computers.c
    alike = (c.kind, c.state, c.online, c.offered)
    found = connection.execute(select(*alike, func.count()).group_by(*alike))
    return tuple((kind, state, bool(online), offered, int(count)) for kind, state, online, offered, count in found)


_NUMBER = select(func.count()).select_from(computers)


def number_of(connection: Connection) -> int:
    """How many computers there are, revoked ones too."""
    return int(connection.execute(_NUMBER).scalar_one())


def certificates_end(connection: Connection, before: float) -> int:
    """How many active computers have a certificate that ends before that time."""
    c = computers.c
    query = select(func.count()).where(c.certificate_expires < before, c.state == "active")
    return int(connection.execute(query).scalar_one())


def relays_observed(connection: Connection) -> dict[Version | None, int]:
    """How many active relays showed which floor in the last handshake; None: none was seen yet."""
    c = computers.c
    query = select(c.relay_observed, func.count()).where(c.kind == "relay", c.state == "active")
    return {floor: int(count) for floor, count in connection.execute(query.group_by(c.relay_observed))}
