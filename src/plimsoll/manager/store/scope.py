"""What is marked as in the scope of PCI DSS (R10)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from plimsoll.manager.store._rows import records
from plimsoll.manager.store.tables import pci_scope


@dataclass(frozen=True, slots=True)
class MarkRecord:
    """One of `point` and `computer` is set."""

    id: int
    point: str | None
    computer: str | None
    note: str
    who: str
    created: float


def all_marks(connection: Connection) -> tuple[MarkRecord, ...]:
    return records(MarkRecord, connection.execute(select(pci_scope).order_by(pci_scope.c.id)))


def find(connection: Connection, point: str | None, computer: str | None) -> MarkRecord | None:
    c = pci_scope.c
    named = c.point == point if point is not None else c.computer == computer
    found = records(MarkRecord, connection.execute(select(pci_scope).where(named)))
    return found[0] if found else None


def add(connection: Connection, point: str | None, computer: str | None, note: str, who: str, now: float) -> None:
    connection.execute(insert(pci_scope).values(point=point, computer=computer, note=note, who=who, created=now))


def remove(connection: Connection, mark: int) -> None:
    connection.execute(delete(pci_scope).where(pci_scope.c.id == mark))
