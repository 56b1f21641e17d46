"""Software packages that were imported, and the statements of which release keys count."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from plimsoll.manager.store._rows import record, records
from plimsoll.manager.store.tables import release_keys, software


@dataclass(frozen=True, slots=True)
class SoftwareRecord:
    """One package. `signature` is the text that was signed; `origin` says how it came in."""

    id: int
    product: str
    version: str
    platform: str
    architecture: str
    file: str
    length: int
    sha256: str
    target: str
    key: str
    signature: str
    imported: float
    who: str
    origin: str = "upload"


@dataclass(frozen=True, slots=True)
class StatementRecord:
    """A statement of which release keys count from then on; the newest number is in force."""

    number: int
    text: str
    added: float
    who: str


def add(connection: Connection, package: SoftwareRecord) -> int:
    """The new package's id; the record's own is not used."""
    values = asdict(package)
    del values["id"]
    made: Any = connection.execute(insert(software).values(**values))
    return int(made.inserted_primary_key[0])


def everything(connection: Connection) -> tuple[SoftwareRecord, ...]:
    return records(SoftwareRecord, connection.execute(select(software).order_by(software.c.id)))


def get(connection: Connection, package: int) -> SoftwareRecord | None:
    return record(SoftwareRecord, connection.execute(select(software).where(software.c.id == package)).one_or_none())


def by_target(connection: Connection, target: str) -> SoftwareRecord | None:
    found = connection.execute(select(software).where(software.c.target == target)).one_or_none()
    return record(SoftwareRecord, found)


def digests(connection: Connection) -> frozenset[str]:
    """The files that some package needs."""
    return frozenset(row.sha256 for row in connection.execute(select(software.c.sha256).distinct()))


def remove(connection: Connection, package: int) -> None:
    connection.execute(delete(software).where(software.c.id == package))


def statements(connection: Connection) -> tuple[StatementRecord, ...]:
    """All of them, the first one first."""
    return records(StatementRecord, connection.execute(select(release_keys).order_by(release_keys.c.number)))


def add_statement(connection: Connection, statement: StatementRecord) -> None:
    connection.execute(insert(release_keys).values(**asdict(statement)))
