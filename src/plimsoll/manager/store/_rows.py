"""Small helpers of the repositories: rows into records, upserts in the database's own dialect."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

R = TypeVar("R")

#: How many values one statement's IN list may carry, below every backend's limit.
CHUNK = 500


def record(kind: type[R], row: Row[Any] | None) -> R | None:
    return None if row is None else kind(**row._mapping)


def records(kind: type[R], rows: Iterable[Row[Any]]) -> tuple[R, ...]:
    return tuple(kind(**row._mapping) for row in rows)


def packed(data: bytes, level: int = 6) -> str:
    """Bytes as a text column of either database holds them; `level` is zlib's."""
    return base64.b64encode(zlib.compress(data, level)).decode()


def unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def upserting(connection: Connection, table: Table) -> Any:
    """An insert that knows ON CONFLICT, whichever of our two dialects this is."""
    return upserting_in(connection.dialect.name, table)


def upserting_in(dialect: str, table: Table) -> Any:
    """The same by the dialect's name: for a statement that is built once and kept, since building it costs more than
    running it does.
    """
    return (sqlite_insert if dialect == "sqlite" else postgresql_insert)(table)


def chunks(items: Sequence[R], size: int = CHUNK) -> Iterable[Sequence[R]]:
    return (items[at : at + size] for at in range(0, len(items), size))
