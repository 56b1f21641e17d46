"""How often each manager was asked by whom since its process began, for what counts over all of them.

Rules of this file: times of change are the database's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, select

from plimsoll.manager.store import nodes
from plimsoll.manager.store._rows import records, upserting
from plimsoll.manager.store.node_tables import api_usage as table


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """A row of `node_tables.api_usage`. `limited` of the `requests` were refused."""

    node: str
    who: str
    first: float
    last: float
    requests: int
    limited: int
    changed: float = 0.0


def put(connection: Connection, rows: Sequence[UsageRecord]) -> None:
    """What a manager has counted by now, in the place of what it said before."""
    if not rows:
        return
    at = nodes.now(connection)
    statement = upserting(connection, table)
    over = {name: statement.excluded[name] for name in ("first", "last", "requests", "limited", "changed")}
    values = [asdict(row) | {"changed": at} for row in rows]
    connection.execute(statement.on_conflict_do_update(index_elements=["node", "who"], set_=over), values)


def others(connection: Connection, node: str, since: float) -> tuple[UsageRecord, ...]:
    """The rows of all managers but that one which changed at that time or later."""
    query = select(table).where(table.c.node != node, table.c.changed >= since)
    return records(UsageRecord, connection.execute(query.order_by(table.c.who, table.c.node)))


def clear(connection: Connection, node: str) -> None:
    connection.execute(delete(table).where(table.c.node == node))
