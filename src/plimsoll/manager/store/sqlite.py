"""SQLite: the file in the manager's home. A commit has reached the disk when it returns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from plimsoll.manager.ports import ServiceError, Unavailable
from plimsoll.manager.store.database import Link, to_json

_IMMEDIATE = "plimsoll_immediate"


class SqliteDatabase:
    """Every write begins with BEGIN IMMEDIATE, so that two writers wait instead of failing half way."""

    kind: Literal["sqlite", "postgresql"] = "sqlite"
    link: Link | None = None
    shared = False
    away = False

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self.path = path
        self.where = str(path)
        self.engine = sa.create_engine(
            f"sqlite+pysqlite:///{path}",
            pool_size=5,
            max_overflow=10,
            pool_timeout=10,
            json_serializer=to_json,
            json_deserializer=msgspec.json.decode,
        )
        _configure(self.engine, busy_timeout)

    def reading(self) -> Connection:
        return self.engine.connect()

    def writing(self) -> Connection:
        return self.engine.connect().execution_options(**{_IMMEDIATE: True})

    def queue(self, connection: Connection) -> None:
        """BEGIN IMMEDIATE has done so."""

    @contextlib.contextmanager
    def migrating(self) -> Iterator[Connection]:
        with self.writing() as connection:
            driver = connection.connection.cursor()
            # SQLite copies a table to change it; with foreign keys on, dropping the old copy would empty its referrers.
            driver.execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    yield connection
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                    if broken:
                        raise ServiceError(
                            f"the migrated store would have broken references ({broken[0]}); nothing was changed"
                        )
            finally:
                driver.execute("PRAGMA foreign_keys=ON")
                driver.close()

    def claim(self, node: str | None = None) -> None:
        """The lock of the home has done so."""

    def say(self, connection: Connection, channel: str, text: str) -> None:
        """There is nobody else."""

    def hear(self, channel: str, heard: Callable[[str | None], None], stopped: Callable[[], bool]) -> None:
        """Nobody else says anything."""

    def refused(self, error: BaseException) -> bool:
        if isinstance(error, PoolTimeoutError):
            return True
        return isinstance(error, DBAPIError) and not isinstance(
            error, (IntegrityError, ProgrammingError, InterfaceError)
        )

    def unavailable(self, error: BaseException, *, committing: bool = False) -> Unavailable:
        cause = str(getattr(error, "orig", None) or error)
        if "full" in cause:
            return Unavailable(
                f"the store's disk is full ({cause}); nothing was kept. Free some space, it then goes on", 10.0
            )
        if "locked" in cause or "busy" in cause or isinstance(error, PoolTimeoutError):
            return Unavailable(f"the store is busy ({cause}); nothing was kept. Try again in a moment", 2.0)
        return Unavailable(
            f"the store failed ({cause}); nothing was kept. Look at the disk of the manager's home", 10.0
        )

    def operation(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def lost(self, error: BaseException) -> None:
        """A file is never away for a while."""

    def must_be_fresh(self, connection: Connection) -> None:
        """The home is a new folder."""

    def close(self) -> None:
        self.engine.dispose()


def _configure(engine: Engine, busy_timeout: float) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(dbapi: Any, record: Any) -> None:
        # Transactions are begun by hand below: the driver's own way begins too late for BEGIN IMMEDIATE.
        dbapi.isolation_level = None
        cursor = dbapi.cursor()
        for pragma in (
            f"busy_timeout={int(busy_timeout * 1000)}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
