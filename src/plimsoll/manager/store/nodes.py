"""The managers of one installation, and who of them does what only one does at a time.

Rules of this file: all times are the database's own, so that managers whose clocks differ agree.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from plimsoll.manager.store._rows import records, upserting
from plimsoll.manager.store.node_tables import api_usage, leases, nodes

RUNNING, STOPPED = "running", "stopped"


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A row of `node_tables.nodes`."""

    id: str
    name: str
    address: str
    release: str
    gui_port: int
    heartbeat_port: int
    started: float
    seen: float
    generation: int
    state: str
    text: str = ""
    authorities: str = ""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    name: str
    node: str
    until: float


def now(connection: Connection) -> float:
    """Seconds since 1970 by the database's clock."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())
    # 2440587.5 is 1970 as a Julian day; what gives seconds directly came with SQLite 3.42.
    return float(connection.execute(select((func.julianday("now") - 2440587.5) * 86400.0)).scalar_one())


def put(connection: Connection, node: NodeRecord) -> None:
    """Makes the node's row, or brings it up to date; `started` and `seen` become the database's time, and an empty
    address the one that the database sees.
    """
    values = {name: getattr(node, name) for name in NodeRecord.__dataclass_fields__}
    at = now(connection)
    values |= {"started": at, "seen": at}
    if not node.address and connection.dialect.name == "postgresql":
        # None where it comes by a local socket.
        seen = connection.execute(select(func.host(func.inet_client_addr()))).scalar_one()
        values["address"] = seen or "127.0.0.1"
    statement = upserting(connection, nodes).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def beat(connection: Connection, node: str, generation: int, text: str, authorities: str = "") -> bool:
    """The node lives, has that generation of the floors in force and goes by these CAs. False where nobody knows it."""
    done = connection.execute(
        update(nodes)
        .where(nodes.c.id == node)
        .values(seen=now(connection), generation=generation, state=RUNNING, text=text, authorities=authorities)
    )
    return done.rowcount == 1


def stop(connection: Connection, node: str) -> None:
    """The node ends: others need not wait until its leases run out."""
    connection.execute(update(nodes).where(nodes.c.id == node).values(seen=now(connection), state=STOPPED))
    connection.execute(delete(leases).where(leases.c.node == node))


def remove(connection: Connection, node: str) -> bool:
    for table in (leases, api_usage):
        connection.execute(delete(table).where(table.c.node == node))
    return bool(connection.execute(delete(nodes).where(nodes.c.id == node)).rowcount)


def running(connection: Connection, seconds: float) -> tuple[NodeRecord, ...]:
    """Those that were heard of in the last seconds and did not stop."""
    query = select(nodes).where(nodes.c.state == RUNNING, nodes.c.seen > now(connection) - seconds)
    return records(NodeRecord, connection.execute(query.order_by(nodes.c.name, nodes.c.id)))


def everyone(connection: Connection) -> tuple[NodeRecord, ...]:
    """In the order of their names."""
    return records(NodeRecord, connection.execute(select(nodes).order_by(nodes.c.name, nodes.c.id)))


def all_leases(connection: Connection) -> tuple[LeaseRecord, ...]:
    """By name, those that have run out not among them."""
    query = select(leases).where(leases.c.until > now(connection)).order_by(leases.c.name)
    return records(LeaseRecord, connection.execute(query))


def take_lease(connection: Connection, name: str, node: str, seconds: float) -> bool:
    """Takes it, or prolongs it: from now on for so many seconds. False where another node has it."""
    at = now(connection)
    taken = connection.execute(
        update(leases)
        .where(leases.c.name == name, or_(leases.c.node == node, leases.c.until < at))
        .values(node=node, until=at + seconds)
    )
    if taken.rowcount:
        return True
    if connection.execute(select(leases.c.name).where(leases.c.name == name)).first() is not None:
        return False
    # Writers take turns, so that nobody else makes the row between the two.
    connection.execute(insert(leases).values(name=name, node=node, until=at + seconds))
    return True
