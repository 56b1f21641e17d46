"""Certificates of the CA that every manager of the installation is to have, some with their sealed private key.

A row is one certificate. Those of one key have the same `key_hash`, and one of them has the key; what a rotation ends
goes with all its certificates (`drop_key`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, select

from plimsoll.manager.store._rows import record, records, upserting
from plimsoll.manager.store.ca_tables import authorities


@dataclass(frozen=True, slots=True)
class AuthorityRecord:
    """A row of `ca_tables.authorities`. `certificate` is PEM, `sealed_key` what `Sealer.seal` made, or empty."""

    fingerprint: str
    key_hash: str
    made: float
    certificate: str
    sealed_key: str = ""


_c = authorities.c


def put(connection: Connection, one: AuthorityRecord) -> None:
    """Adds that certificate, or brings its row up to date."""
    values = asdict(one)
    statement = upserting(connection, authorities).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["fingerprint"], set_=values))


def get(connection: Connection, fingerprint: str) -> AuthorityRecord | None:
    """By the hex SHA-256 of the certificate."""
    query = select(authorities).where(_c.fingerprint == fingerprint)
    return record(AuthorityRecord, connection.execute(query).one_or_none())


def of_key(connection: Connection, key_hash: str) -> tuple[AuthorityRecord, ...]:
    """All certificates of one key, the newest first."""
    query = select(authorities).where(_c.key_hash == key_hash).order_by(_c.made.desc(), _c.fingerprint)
    return records(AuthorityRecord, connection.execute(query))


def drop_key(connection: Connection, key_hash: str) -> int:
    """A key counts no more: neither it nor any certificate of it is kept. How many rows there were."""
    return int(connection.execute(delete(authorities).where(_c.key_hash == key_hash)).rowcount)
