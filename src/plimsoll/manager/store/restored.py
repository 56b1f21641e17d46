"""What stands otherwise in a store that came out of a backup."""

from __future__ import annotations

from sqlalchemy import Connection, delete, update

from plimsoll.manager.store.node_tables import leases, nodes
from plimsoll.manager.store.tables import changes, sessions
from plimsoll.manager.store.upgrade_tables import upgrades


def settle(connection: Connection, why: str) -> int:
    """Changes and upgrades that were under way wait for a person: who knows how they went on. Sessions are over,
    and there is no other manager.

    How many wait.
    """
    paused = 0
    for table in (changes, upgrades):
        # A date may have come after the backup, and what was begun then may have been taken back.
        statement = (
            update(table)
            .where(table.c.state.in_(("running", "scheduled")))
            .values(state="paused", version=table.c.version + 1, text=why)
        )
        paused += connection.execute(statement).rowcount
    # Other managers of then are not there now, and hold no work.
    for table in (sessions, nodes, leases):
        connection.execute(delete(table))
    return paused
