"""Commands that wait for computers, or were acknowledged by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from plimsoll.manager.store._rows import chunks, record, records
from plimsoll.manager.store.tables import commands


@dataclass(frozen=True, slots=True)
class CommandRecord:
    id: str
    computer: str
    kind: str
    body: dict[str, Any]
    created: float
    done: float | None = None
    ok: bool | None = None
    text: str = ""


def add_commands(connection: Connection, new: Sequence[CommandRecord]) -> None:
    if new:
        names = CommandRecord.__dataclass_fields__
        connection.execute(insert(commands), [{name: getattr(item, name) for name in names} for item in new])


def drop_waiting(connection: Connection, ids: Sequence[str], kind: str) -> None:
    """Takes back commands of that kind that wait: a newer one replaces them."""
    for part in chunks(list(ids)):
        connection.execute(
            delete(commands).where(commands.c.computer.in_(part), commands.c.kind == kind, commands.c.done.is_(None))
        )


def waiting(connection: Connection, ids: Sequence[str] | None = None) -> tuple[CommandRecord, ...]:
    """Commands that are not acknowledged, oldest first."""
    query = select(commands).where(commands.c.done.is_(None)).order_by(commands.c.created, commands.c.id)
    if ids is None:
        return records(CommandRecord, connection.execute(query))
    return tuple(
        found
        for part in chunks(list(ids))
        for found in records(CommandRecord, connection.execute(query.where(commands.c.computer.in_(part))))
    )


def command(connection: Connection, identifier: str, computer: str) -> CommandRecord | None:
    query = select(commands).where(commands.c.id == identifier, commands.c.computer == computer)
    return record(CommandRecord, connection.execute(query).one_or_none())


def finish_command(connection: Connection, identifier: str, now: float, ok: bool, text: str) -> None:
    connection.execute(update(commands).where(commands.c.id == identifier).values(done=now, ok=ok, text=text))
