"""One database: transactions, a group commit for the heartbeat path, and plain words when the disk is full.

Rules of this file: every write is one transaction that begins with BEGIN IMMEDIATE, so that two writers wait instead
of failing half way; a commit has reached the disk when it returns (synchronous=FULL); whatever the database refuses
leaves here as `Unavailable`, and the next call tries again with a fresh connection, so that the store is back as soon
as there is space.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from plimsoll.manager.ports import ServiceError, Unavailable
from plimsoll.manager.store import migrate

T = TypeVar("T")

#: How long a group commit waits for company, in seconds; an answer must not wait longer than 50 ms for its commit.
LINGER = 0.01
#: The most that may wait for a commit before newcomers are turned away.
BACKLOG = 20_000
#: The most that share one commit, so that its time stays bounded.
BATCH = 500
_IMMEDIATE = "plimsoll_immediate"


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


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _unavailable(error: Exception) -> Unavailable:
    cause = str(getattr(error, "orig", None) or error)
    if "full" in cause:
        return Unavailable(
            f"the store's disk is full ({cause}); nothing was kept. Free some space, it then goes on", 10.0
        )
    if "locked" in cause or "busy" in cause or isinstance(error, PoolTimeoutError):
        return Unavailable(f"the store is busy ({cause}); nothing was kept. Try again in a moment", 2.0)
    return Unavailable(f"the store failed ({cause}); nothing was kept. Look at the disk of the manager's home", 10.0)


def _of_the_disk(error: BaseException) -> bool:
    """Full, locked, I/O: what is about the whole database and not about one item's data."""
    if isinstance(error, PoolTimeoutError):
        return True
    return isinstance(error, DBAPIError) and not isinstance(error, (IntegrityError, ProgrammingError, InterfaceError))


class Store:
    """A database file. Safe to use from several threads."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine = engine
        self.path = path
        # Writers of one process queue here, fairly and without polling; busy_timeout is for other processes.
        self._write_lock = threading.Lock()
        self._group = _GroupCommit(self)

    @classmethod
    def open(cls, path: Path, *, busy_timeout: float = 5.0) -> Store:
        """Opens or makes the file. Its schema is made and brought up by `migrate`."""
        engine = sa.create_engine(
            f"sqlite+pysqlite:///{path}",
            pool_size=5,
            max_overflow=10,
            pool_timeout=10,
            json_serializer=_to_json,
            json_deserializer=msgspec.json.decode,
        )
        _configure(engine, busy_timeout)
        return cls(engine, path)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` on one consistent state of the database."""
        try:
            with self.engine.connect() as connection, connection.begin():
                return work(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            if _of_the_disk(error):
                raise _unavailable(error) from error
            raise

    def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in one transaction, durable when this returns; an exception in it leaves nothing behind."""
        with self._write_lock:
            try:
                with self._writing() as connection, connection.begin():
                    return work(connection)
            except (DBAPIError, PoolTimeoutError) as error:
                if _of_the_disk(error):
                    raise _unavailable(error) from error
                raise

    def _writing(self) -> Connection:
        return self.engine.connect().execution_options(**{_IMMEDIATE: True})

    def enqueue(self, work: Callable[[Connection], T]) -> Future[T]:
        """Runs `work` with others in the next group commit; the future is done when it is durable.

        Each runs in a savepoint of its own: one that raises fails alone.
        """
        return self._group.put(work)

    @property
    def revision(self) -> str | None:
        """The schema's revision, or None for an empty database."""
        return self.read(migrate.revision)

    def migrate(self, to: str = "head") -> None:
        """Brings the schema up, in one transaction: a crash leaves the former schema."""

        def work(connection: Connection) -> None:
            migrate.upgrade(connection, to)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise ServiceError(
                    f"the migrated store would have broken references ({broken[0]}); nothing was changed"
                )

        with self._write_lock, self._writing() as connection:
            driver = connection.connection.cursor()
            # SQLite copies a table to change it; with foreign keys on, dropping the old copy would empty its referrers.
            driver.execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    work(connection)
            except DBAPIError as error:
                raise _unavailable(error) from error
            finally:
                driver.execute("PRAGMA foreign_keys=ON")
                driver.close()

    def close(self) -> None:
        """Commits what waits, then lets the file go."""
        self._group.close()
        self.engine.dispose()


class _GroupCommit:
    """The writer thread: what arrives while one commit is under way shares the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._items: deque[tuple[Callable[[Connection], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, work: Callable[[Connection], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._wake:
            if self._closed:
                raise Unavailable("the manager is stopping; nothing was kept. Try again in a moment", 5.0)
            if len(self._items) >= BACKLOG:
                raise Unavailable("too much waits for the store; nothing was kept. Try again in a moment", 5.0)
            self._items.append((work, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
                self._thread.start()
            self._wake.notify()
        return future

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._items and not self._closed:
                    self._wake.wait()
                if not self._items:
                    return
                closing = self._closed
            if not closing:
                time.sleep(LINGER)
            with self._wake:
                batch = [self._items.popleft() for _ in range(min(BATCH, len(self._items)))]
            self._commit([item for item in batch if item[1].set_running_or_notify_cancel()])

    def _commit(self, batch: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []

        def work(connection: Connection) -> None:
            for item, future in batch:
                try:
                    with connection.begin_nested():
                        outcomes.append((future, item(connection), None))
                except Exception as error:
                    if _of_the_disk(error):
                        raise
                    outcomes.append((future, None, error))

        try:
            self._store.write(work)
        except Exception as error:  # noqa: BLE001 - the thread must outlive a bad batch; each waiter is told
            failure = error if isinstance(error, ServiceError) else Unavailable(f"the store failed ({error})")
            for _, future in batch:
                future.set_exception(failure)
            return
        for future, result, problem in outcomes:
            if problem is None:
                future.set_result(result)
            else:
                future.set_exception(problem)
