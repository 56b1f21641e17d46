"""The databases that the store's suite runs on. Another backend joins by a class here."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import event
from tests.support import postgres
from tests.support.disk import small_disk

from plimsoll.manager import database
from plimsoll.manager.store import Store

#: Seconds that a writer waits for one in another process, here.
BUSY = 0.2


class Backend(Protocol):
    """One database for one test; nothing is in it until it is migrated."""

    def __init__(self, folder: Path) -> None: ...

    def open(self) -> Store:
        """As often as wanted: each is what another process would have."""
        ...

    def migrated(self) -> Store:
        """The same with the schema of this release, quicker than by its migrations where that can be."""
        ...

    def full(self, store: Store) -> contextlib.AbstractContextManager[None]:
        """No space is left for anything large, until its end."""
        ...

    def close(self) -> None: ...


class Sqlite:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "plimsoll.db"

    def open(self) -> Store:
        return Store.open(self._file, busy_timeout=BUSY)

    def migrated(self) -> Store:
        store = self.open()
        store.migrate()
        return store

    @contextlib.contextmanager
    def full(self, store: Store) -> Iterator[None]:
        # A full disk can only be played inside the engine.
        limit = {"pages": store.read(lambda c: c.exec_driver_sql("pragma page_count").scalar_one()) + 2}

        def shrink(dbapi: sqlite3.Connection, *_: object) -> None:
            dbapi.execute(f"pragma max_page_count={limit['pages']}")

        event.listen(store.engine, "checkout", shrink)
        yield
        limit["pages"] = 1_000_000

    def close(self) -> None:
        """The folder goes with the test."""


class Postgresql:
    def __init__(self, folder: Path) -> None:
        self._server = postgres.shared()
        self._name: str | None = None

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = postgres.new_database(self._server)
        return self._name

    def open(self) -> Store:
        return connected(self._server, self.name)

    def migrated(self) -> Store:
        self._name = postgres.new_database(self._server, template=_template())
        return self.open()

    @contextlib.contextmanager
    def full(self, store: Store) -> Iterator[None]:
        folder = self._server.new_folder(self.name)
        with small_disk(folder) as disk:
            if not disk.mounted:
                pytest.skip("a file system of its own cannot be mounted here")
            place = self._server.new_folder(f"{self.name}/disk/space")
            self._server.do(f"create tablespace {self.name} location '{place}'")
            self._server.do(f"alter table facts set tablespace {self.name}", database=self.name)
            disk.fill(0)
            try:
                yield
            finally:
                disk.free(0)
                self._server.do("alter table facts set tablespace pg_default", database=self.name)
                self._server.do(f"drop tablespace {self.name}")

    def close(self) -> None:
        if self._name is not None:
            postgres.drop(self._server, self._name)


def connected(server: postgres.Server, name: str, busy_timeout: float = BUSY) -> Store:
    address = database.parse(server.url(name))
    assert address is not None
    return Store.connect(address, busy_timeout=busy_timeout)


@functools.cache
def _template() -> str:
    """A database with this release's schema, which others are copied from."""
    server = postgres.shared()
    name = postgres.new_database(server)
    store = connected(server, name)
    try:
        store.migrate()
    finally:
        store.close()
    return name


BACKENDS: dict[str, type[Backend]] = {"sqlite": Sqlite, "postgresql": Postgresql}
