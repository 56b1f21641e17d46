"""Whose names a person was shown before a raise, kept so that any manager can hold a forced raise to them."""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select

from plimsoll.manager.store._rows import packed, unpacked
from plimsoll.manager.store.node_tables import kept_judgements as table


def keep(connection: Connection, judgement: str, at: float, names: Collection[str], most: int, since: float) -> None:
    """Keeps the ids that a judgement of the time `at` named; older ones than `since`, and all but the newest, go."""
    text = packed(json.dumps(sorted(names)).encode(), 1)
    newest = select(table.c.id).order_by(table.c.at.desc(), table.c.id).limit(most - 1)
    kept = [str(found) for (found,) in connection.execute(newest)]
    connection.execute(delete(table).where((table.c.at < since) | table.c.id.not_in(kept)))
    connection.execute(insert(table).values(id=judgement, at=at, names=text))


def names(connection: Connection, judgement: str, since: float) -> frozenset[str] | None:
    """The ids that it named; None where it is not kept, or older than `since`."""
    found = connection.execute(select(table.c.names).where(table.c.id == judgement, table.c.at >= since))
    text = found.scalar_one_or_none()
    return None if text is None else frozenset(json.loads(unpacked(text)))
