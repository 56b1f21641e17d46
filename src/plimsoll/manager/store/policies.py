"""Policies and relay groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from plimsoll.manager.store._rows import record, records
from plimsoll.manager.store.tables import computers, policies, relay_groups
from plimsoll.tls.versions import Version

#: The group that newly activated computers come to.
DEFAULT_GROUP = "Default Relay Group"


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    id: int
    name: str
    generation: int
    parent_id: int | None = None
    relay_floor: Version | None = None
    agent_floor: Version | None = None
    heartbeat_seconds: int | None = None
    missed_heartbeats: int | None = None
    direction: str | None = None
    auto_send: bool | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class RelayGroupRecord:
    id: int
    name: str
    parent_id: int | None


def all_policies(connection: Connection) -> tuple[PolicyRecord, ...]:
    return records(PolicyRecord, connection.execute(select(policies).order_by(policies.c.id)))


def policy(connection: Connection, identifier: int) -> PolicyRecord | None:
    return record(PolicyRecord, connection.execute(select(policies).where(policies.c.id == identifier)).one_or_none())


def policy_named(connection: Connection, name: str) -> PolicyRecord | None:
    return record(PolicyRecord, connection.execute(select(policies).where(policies.c.name == name)).one_or_none())


def add_policy(connection: Connection, **values: Any) -> int:
    return _new_id(connection.execute(insert(policies).values(**values)))


def change_policy(connection: Connection, identifier: int, **values: Any) -> None:
    connection.execute(update(policies).where(policies.c.id == identifier).values(**values))


def delete_policy(connection: Connection, identifier: int) -> None:
    connection.execute(delete(policies).where(policies.c.id == identifier))


def computers_by_policy(connection: Connection) -> dict[int, int]:
    rows = connection.execute(select(computers.c.policy_id, func.count()).group_by(computers.c.policy_id))
    return {row[0]: row[1] for row in rows}


def all_groups(connection: Connection) -> tuple[RelayGroupRecord, ...]:
    return records(RelayGroupRecord, connection.execute(select(relay_groups).order_by(relay_groups.c.id)))


def group_named(connection: Connection, name: str) -> RelayGroupRecord | None:
    query = select(relay_groups).where(relay_groups.c.name == name)
    return record(RelayGroupRecord, connection.execute(query).one_or_none())


def group(connection: Connection, identifier: int) -> RelayGroupRecord | None:
    query = select(relay_groups).where(relay_groups.c.id == identifier)
    return record(RelayGroupRecord, connection.execute(query).one_or_none())


def add_group(connection: Connection, name: str, parent_id: int | None) -> int:
    return _new_id(connection.execute(insert(relay_groups).values(name=name, parent_id=parent_id)))


def move_group(connection: Connection, identifier: int, parent_id: int | None) -> None:
    connection.execute(update(relay_groups).where(relay_groups.c.id == identifier).values(parent_id=parent_id))


def delete_group(connection: Connection, identifier: int) -> None:
    connection.execute(delete(relay_groups).where(relay_groups.c.id == identifier))


def _new_id(result: Any) -> int:
    return int(result.inserted_primary_key[0])
