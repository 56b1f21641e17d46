"""All rows of a store, as they lie there: read in batches, written elsewhere, counted and digested.

Rules of this file: a table is read in the order of its key, so that equal tables have equal digests whatever database
they are in; texts and JSON travel as they were written, and nothing is made of them on the way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy import Table as Table  # whoever copies names it, and need not know SQLAlchemy

from plimsoll.manager.store import ca_tables as ca_tables  # their tables belong to the metadata
from plimsoll.manager.store import proof_tables as proof_tables
from plimsoll.manager.store import upgrade_tables as upgrade_tables
from plimsoll.manager.store.columns import NUL
from plimsoll.manager.store.tables import metadata

#: How many rows are in memory at a time.
BATCH = 1000

Kind = Literal["text", "json", "number", "float", "flag"]
#: The values of a row, in the order of the table's columns.
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Summary:
    """How many rows a table has, and SHA-256 (hex) over all of them."""

    rows: int
    digest: str


class Digest:
    """Takes rows in the order of their key."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._rows = 0
        self._encoder = msgspec.msgpack.Encoder()

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._hash.update(self._encoder.encode(list(row)))
            self._rows += 1

    @property
    def summary(self) -> Summary:
        return Summary(self._rows, self._hash.hexdigest())


def tables() -> tuple[Table, ...]:
    """Those of this release; one that is referred to comes before those that refer to it."""
    return tuple(metadata.sorted_tables)


def begin(connection: Connection) -> None:
    """The first thing in a transaction that takes long: a server must not end it while a disk or a peer is slow."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def kinds(table: Table) -> tuple[Kind, ...]:
    return tuple(_kind(column) for column in table.columns)


def _kind(column: sa.Column[Any]) -> Kind:
    if isinstance(column.type, sa.JSON):
        return "json"
    if isinstance(column.type, sa.Boolean):
        return "flag"
    if isinstance(column.type, sa.Float):
        return "float"
    return "number" if isinstance(column.type, sa.Integer) else "text"


def read(connection: Connection, table: Table, batch: int = BATCH) -> Iterator[list[Row]]:
    """All rows in the order of the key, a batch at a time. The connection's transaction sees one state."""
    columns: list[sa.ColumnElement[Any]] = []
    for column, kind in zip(table.columns, kinds(table), strict=True):
        if kind == "json" and connection.dialect.name != "sqlite":
            columns.append(sa.cast(column, sa.Text).label(column.name))
        elif kind in ("text", "json"):
            columns.append(sa.type_coerce(column, sa.Text()).label(column.name))
        else:
            columns.append(column)
    statement = sa.select(*columns).order_by(*table.primary_key.columns)
    documents = [place for place, kind in enumerate(kinds(table)) if kind == "json"]
    with connection.execute(statement, execution_options={"yield_per": batch}) as found:
        for part in found.partitions():
            yield [_plain(row, documents) for row in part]


def _plain(row: Iterable[Any], documents: Iterable[int]) -> Row:
    """As every database holds it: PostgreSQL's texts hold no NUL, and SQLite keeps a JSON number as a number."""
    plain = [value.replace("\0", NUL) if isinstance(value, str) and "\0" in value else value for value in row]
    for place in documents:
        plain[place] = _document(plain[place])
    return plain


def _document(value: Any) -> Any:
    """A JSON text; of one that is a bare number the one spelling that SQLite's number and PostgreSQL's text share."""
    if isinstance(value, str):
        if not value.startswith(_NUMBER):
            return value
        value = json.loads(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else json.dumps(value)


_NUMBER = tuple("-0123456789")


def write(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Puts rows there that `read` gave. Of a table that refers to itself: all of them at once."""
    if not rows:
        return
    names = [f"v{number}" for number in range(len(table.columns))]
    values: dict[str, Any] = {}
    for name, column, kind in zip(names, table.columns, kinds(table), strict=True):
        given: Any = sa.bindparam(name, type_=sa.Text() if kind in ("text", "json") else column.type)
        if kind == "json" and connection.dialect.name != "sqlite":
            given = sa.cast(given, sa.JSON)
        elif kind in ("text", "json"):
            given = sa.type_coerce(given, sa.Text())
        values[column.name] = given
    statement = table.insert().values(values)
    connection.execute(statement, [dict(zip(names, row, strict=True)) for row in _in_order(table, rows)])


def refers_to_itself(table: Table) -> bool:
    return any(reference.column.table is table for reference in table.foreign_keys)


def _in_order(table: Table, rows: Sequence[Row]) -> Sequence[Row]:
    """Parents before their children."""
    own = [one for one in table.foreign_keys if one.column.table is table]
    if not own:
        return rows
    places = {column.name: number for number, column in enumerate(table.columns)}
    child, parent = places[own[0].parent.name], places[own[0].column.name]
    placed: set[Any] = {None}
    ordered: list[Row] = []
    left = list(rows)
    while left:
        ready = [row for row in left if row[child] in placed]
        if not ready:  # a circle, which the database will refuse in its own words
            return [*ordered, *left]
        placed |= {row[parent] for row in ready}
        ordered += ready
        left = [row for row in left if row[parent] not in placed]
    return ordered


def summarise(connection: Connection, table: Table) -> Summary:
    digest = Digest()
    for rows in read(connection, table):
        digest.add(rows)
    return digest.summary


def counted(connection: Connection) -> Mapping[str, int]:
    """The highest number that each numbered table ever gave a row, by table: ids are never given twice."""
    found: dict[str, int] = {}
    for table in tables():
        column = _numbered(table)
        if column is None:
            continue
        highest = int(connection.execute(sa.select(sa.func.max(column))).scalar_one() or 0)
        if connection.dialect.name == "sqlite":
            if table.dialect_kwargs.get("sqlite_autoincrement"):
                given = connection.execute(
                    sa.text("select seq from sqlite_sequence where name = :name"), {"name": table.name}
                ).scalar_one_or_none()
                highest = max(highest, int(given or 0))
        else:
            named = {"table": table.name, "column": column.name}
            highest = max(highest, int(connection.execute(_GIVEN, named).scalar_one_or_none() or 0))
        found[str(table.name)] = highest
    return found


_GIVEN = sa.text(
    "select last_value from pg_sequences where quote_ident(schemaname) || '.' || quote_ident(sequencename)"
    " = pg_get_serial_sequence(quote_ident(:table), :column)"
)


def count_on(connection: Connection, given: Mapping[str, int]) -> None:
    """New rows get numbers above these."""
    for table in tables():
        column, highest = _numbered(table), given.get(table.name, 0)
        if column is None or highest < 1:
            continue
        named: dict[str, Any] = {"table": table.name, "column": column.name, "highest": highest}
        if connection.dialect.name != "sqlite":
            connection.execute(
                sa.text("select setval(pg_get_serial_sequence(quote_ident(:table), :column), :highest)"), named
            )
        elif table.dialect_kwargs.get("sqlite_autoincrement"):
            connection.execute(sa.text("delete from sqlite_sequence where name = :table"), named)
            connection.execute(sa.text("insert into sqlite_sequence (name, seq) values (:table, :highest)"), named)


def _numbered(table: Table) -> sa.Column[Any] | None:
    return table.autoincrement_column
