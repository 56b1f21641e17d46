"""Computer groups: folders for people, which no policy follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from plimsoll.manager.store._rows import record, records
from plimsoll.manager.store.tables import computer_groups, computers


@dataclass(frozen=True, slots=True)
class ComputerGroupRecord:
    id: int
    name: str
    description: str
    parent_id: int | None


def all_groups(connection: Connection) -> tuple[ComputerGroupRecord, ...]:
    return records(ComputerGroupRecord, connection.execute(select(computer_groups).order_by(computer_groups.c.id)))


def group(connection: Connection, identifier: int) -> ComputerGroupRecord | None:
    query = select(computer_groups).where(computer_groups.c.id == identifier)
    return record(ComputerGroupRecord, connection.execute(query).one_or_none())


def add(connection: Connection, **values: Any) -> int:
    result: Any = connection.execute(insert(computer_groups).values(**values))
    return int(result.inserted_primary_key[0])


def change(connection: Connection, identifier: int, **values: Any) -> None:
    connection.execute(update(computer_groups).where(computer_groups.c.id == identifier).values(**values))


def remove(connection: Connection, identifier: int) -> None:
    connection.execute(delete(computer_groups).where(computer_groups.c.id == identifier))


def members(connection: Connection) -> dict[int, int]:
    """How many computers are in each group that has any."""
    c = computers.c
    query = select(c.group_id, func.count()).where(c.group_id.is_not(None)).group_by(c.group_id)
    return {row[0]: row[1] for row in connection.execute(query)}
