"""A store: transactions on its database, and a group commit for the heartbeat path.

Rules of this file: every write is one transaction that no other writer overlaps, in this process or elsewhere; a commit
is durable when it returns; whatever the database refuses leaves here as `Unavailable`, in words, and the next call
tries again, so that the store is back as soon as the database is. What is special to one kind of database stands in its
own file (`sqlite`, `postgresql`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from plimsoll.manager.database import DatabaseAddress
from plimsoll.manager.ports import BadInput, ServiceError, Unavailable
from plimsoll.manager.store import migrate
from plimsoll.manager.store.database import Database
from plimsoll.manager.store.sqlite import SqliteDatabase

T = TypeVar("T")

#: How long a group commit waits for company, in seconds; an answer must not wait longer than 50 ms for its commit.
LINGER = 0.01
#: The most that may wait for a commit before newcomers are turned away.
BACKLOG = 20_000
#: The most that share one commit, so that its time stays bounded.
BATCH = 500
#: Seconds that a writer waits for one in another process.
BUSY_TIMEOUT = 5.0


class Store:
    """Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.engine = database.engine
        # Writers of one process queue here, fairly and without polling; the database's own queue is for others.
        self._write_lock = threading.Lock()
        #: Told of each write: the seconds that it took, its wait for other writers included, and whether it succeeded.
        self.measured: Callable[[float, bool], None] = lambda seconds, stored: None
        self._group = _GroupCommit(self)

    @classmethod
    def open(cls, path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> Store:
        """Opens or makes a file. Its schema is made and brought up by `migrate`."""
        return cls(SqliteDatabase(path, busy_timeout))

    @classmethod
    def connect(
        cls, address: DatabaseAddress, *, passfile: Path | None = None, busy_timeout: float = BUSY_TIMEOUT
    ) -> Store:
        """A PostgreSQL database; nothing is connected to yet. `passfile` is in libpq's form, for addresses that name
        none of their own.
        """
        # Here, and not above: who keeps a file need not load a driver.
        from plimsoll.manager.store.postgresql import PostgresDatabase

        # An empty password asks for the file, and keeps libpq from taking PGPASSWORD, which would win over it.
        given = {"passfile": str(passfile), "password": ""} if passfile is not None else {}
        given |= {"password": address.password} if address.password is not None else {}
        return cls(PostgresDatabase(str(address), given | address.parameters(), busy_timeout, address.encrypted))

    def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` on one consistent state of the database."""
        try:
            with self.database.operation(), self.database.reading() as connection, connection.begin():
                return work(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            if self.database.refused(error):
                self.database.lost(error)
                raise self.database.unavailable(error) from error
            raise
        except OverflowError as error:
            raise _too_large(error) from error

    def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in one transaction, durable when this returns; an exception in it leaves nothing behind."""
        came = time.monotonic()
        stored = False
        try:
            result = self._write(work)
            stored = True
        finally:
            self.measured(time.monotonic() - came, stored)
        return result

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self._write_lock:
            committing = False
            try:
                # Asked when it is one's turn: a hundred in a queue must not each wait for an answer of their own.
                with self.database.operation(), self.database.writing() as connection, connection.begin():
                    self.database.queue(connection)
                    result = work(connection)
                    committing = True
                return result
            except (DBAPIError, PoolTimeoutError) as error:
                if not self.database.refused(error):
                    raise
                self.database.lost(error)
                raise self.database.unavailable(error, committing=committing) from error
            except OverflowError as error:
                raise _too_large(error) from error

    def enqueue(self, work: Callable[[Connection], T]) -> Future[T]:
        """Runs `work` with others in the next group commit; the future is done when it is durable.

        Each runs in a savepoint of its own: one that raises fails alone.
        """
        return self._group.put(work)

    def claim(self, node: str | None = None) -> None:
        """From now on until `close` no other manager uses the database, or, where `node` names one of several that
        share it, nobody does under that name or alone. Raises Conflict, naming who does.
        """
        try:
            self.database.claim(node)
        except DBAPIError as error:
            raise self.database.unavailable(error) from error

    def say(self, connection: Connection, channel: str, text: str) -> None:
        """Within a transaction: other managers on the database hear it once that is committed."""
        self.database.say(connection, channel, text)

    def hear(self, channel: str, heard: Callable[[str | None], None], stopped: Callable[[], bool]) -> None:
        """Blocks until `stopped`. `heard` is given what other managers say, and None where something may have been
        missed. Raises Unavailable where the connection is lost.
        """
        try:
            self.database.hear(channel, heard, stopped)
        except DBAPIError as error:
            raise self.database.unavailable(error) from error

    def must_be_fresh(self) -> None:
        """Raises Conflict where no installation can begin in the database, or something stands there already."""
        self.read(self.database.must_be_fresh)

    @property
    def away(self) -> bool:
        """Whether the database is known to be away: whoever asks is told so at once."""
        return self.database.away

    @property
    def waiting(self) -> int:
        """How many wait for the next group commit."""
        return self._group.waiting

    def reach(self) -> None:
        """Asks the database for nothing. Raises Unavailable where it is away."""
        self.read(lambda connection: connection.exec_driver_sql("select 1").scalar_one())

    @property
    def revision(self) -> str | None:
        """The schema's revision, or None for an empty database."""
        return self.read(migrate.revision)

    def migrate(self, to: str = "head", then: Callable[[Connection], object] = lambda connection: None) -> None:
        """Brings the schema up and does `then`, in one transaction: a crash leaves the former schema."""
        with self._write_lock:
            try:
                with self.database.migrating() as connection:
                    migrate.upgrade(connection, to)
                    then(connection)
            except DBAPIError as error:
                raise self.database.unavailable(error) from error

    def close(self) -> None:
        """Commits what waits, then lets the database go."""
        self._group.close()
        self.database.close()


def _too_large(error: OverflowError) -> BadInput:
    """A number beyond 64 bits, which came with the request: there is nothing of ours so large."""
    return BadInput(f"a number is larger than the store holds ({error}); nothing was changed")


class _GroupCommit:
    """The writer thread: what arrives while one commit is under way shares the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._items: deque[tuple[Callable[[Connection], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        return len(self._items)

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
                    if self._store.database.refused(error):
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
