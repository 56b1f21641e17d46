"""Homes without processes: new ones, quickly, and older ones built from the committed texts in fixtures/homes."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from plimsoll.manager import config, database
from plimsoll.manager.ca import Authority
from plimsoll.manager.home import Home, InitResult, init_home, open_home
from plimsoll.manager.ports import Principal, Role, socket_principal
from plimsoll.manager.services import Services
from plimsoll.manager.store import Store, migrate
from plimsoll.messages import Activation, ActivationRequest, Assignment, Inventory, Kind
from plimsoll.testing.certificates import certificate_request, new_key
from plimsoll.tls.floors import FloorSnapshot
from tests.support import keys, postgres

FIXTURES = Path(__file__).parents[1] / "fixtures" / "homes"
OLD_HOMES = tuple(sorted(path.name for path in FIXTURES.iterdir())) if FIXTURES.exists() else ()
ROOT = socket_principal(0)

keys.remember()

#: The kinds of databases that a home may have here, and the one that it has where a test does not mind.
DATABASES = ("sqlite", "postgresql")
USUAL = os.environ.get("PLIMSOLL_TEST_DATABASE", "sqlite")


@functools.cache
def _template(kind: str) -> tuple[Path, InitResult]:
    """One new home for the whole run: making its keys takes a second, copying it none."""
    folder = Path(tempfile.mkdtemp(prefix="plimsoll-home-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = "sqlite"
    if kind == "postgresql":
        server = postgres.shared()
        store = server.url(postgres.new_database(server))
    return folder / "home", init_home(folder / "home", store=store)


def new_home(folder: Path, kind: str = USUAL) -> tuple[Path, InitResult]:
    """A home as `manager init` leaves it, in the folder; in PostgreSQL with a database of its own."""
    template, result = _template(kind)
    home = folder / "home"
    copy_home(template, home)
    return home, result


def copy_home(template: Path, home: Path) -> None:
    """A home that begins as the other is now, and has nothing in common with it."""
    shutil.copytree(template, home)
    name = _database_of(template)
    if name is not None:
        path = home / "configuration.properties"
        copy = postgres.new_database(postgres.shared(), template=name)
        path.write_text(path.read_text().replace(f"/{name}?", f"/{copy}?"))


def drop_database(home: Path) -> None:
    """What `copy_home` made outside of the folder."""
    name = _database_of(home)
    if name is not None:
        postgres.drop(postgres.shared(), name)


def _database_of(home: Path) -> str | None:
    address = database.parse(config.load(home / "configuration.properties").database)
    return None if address is None else address.name


def old_home(name: str, folder: Path, kind: str = "sqlite") -> Path:
    """A home of an earlier release: a committed dump of its store and its properties, with a CA made for the test."""
    home = folder / name
    shutil.copytree(_old_template(name), home)
    if kind == "postgresql":
        _move_to_postgresql(home)
    return home


def _move_to_postgresql(home: Path) -> None:
    """The same rows in the same early schema there."""
    server = postgres.shared()
    url = server.url(postgres.new_database(server))
    address = database.parse(url)
    assert address is not None
    old, new = Store.open(home / "plimsoll.db"), Store.connect(address)
    tables = sa.MetaData()
    old.read(lambda c: tables.reflect(c, only=lambda name, _: name != "alembic_version"))
    new.migrate(migrate.FIRST)
    for table in tables.sorted_tables:
        rows = old.read(lambda c, t=table: [dict(row._mapping) for row in c.execute(sa.select(t))])  # type: ignore[misc]
        if not rows:
            continue
        new.write(lambda c, t=table, r=rows: c.execute(sa.insert(t), r))  # type: ignore[misc]  # defaults bind them
        if isinstance(rows[0].get("id"), int):
            highest = f"select setval(pg_get_serial_sequence('{table.name}', 'id'), {max(row['id'] for row in rows)})"
            new.write(lambda c, h=highest: c.exec_driver_sql(h))  # type: ignore[misc]
    old.close()
    new.close()
    (home / "plimsoll.db").unlink()
    with (home / "configuration.properties").open("a") as file:
        file.write(f"\ndatabase={url}\n")


@functools.cache
def _old_template(name: str) -> Path:
    home = Path(tempfile.mkdtemp(prefix=f"plimsoll-{name}-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    with contextlib.closing(sqlite3.connect(home / "plimsoll.db")) as connection:
        connection.executescript((FIXTURES / name / "schema.sql").read_text())
        connection.commit()
        installation = connection.execute("select value from facts where name = 'installation'").fetchone()[0]
    shutil.copyfile(FIXTURES / name / "configuration.properties", home / "configuration.properties")
    (home / "configuration.properties").chmod(0o640)
    Authority.create(home / "ca", installation, time.time())
    return home


@dataclass
class Desk:
    """Services over a home of its own, with what they published."""

    home: Home
    services: Services
    made: InitResult
    published: list[FloorSnapshot] = field(default_factory=list)

    def activate(
        self,
        hostname: str,
        version: str = "12.0.0",
        kind: Kind = Kind.AGENT,
        *,
        token: str | None = None,
        known_as: str | None = None,
        address: str = "127.0.0.9",
        boot_id: str = "",
        assign: Assignment | None = None,
    ) -> Activation:
        request = ActivationRequest(
            capability=1,
            csr=certificate_request(new_key(), hostname),
            inventory=Inventory(hostname=hostname, version=version, kind=kind, boot_id=boot_id),
            token=token or self.made.activation_token,
            assign=assign,
        )
        return self.services.activation.activate(request, address, "agent-initiated", known_as)


@contextlib.contextmanager
def desk(folder: Path, clock: Callable[[], float] = time.time, kind: str = USUAL) -> Iterator[Desk]:
    """Opens a new home with all services, as a manager does at start."""
    path, made = new_home(folder, kind)
    try:
        with reopened(path, made, clock) as opened:
            yield opened
    finally:
        drop_database(path)


@contextlib.contextmanager
def reopened(path: Path, made: InitResult, clock: Callable[[], float] = time.time) -> Iterator[Desk]:
    home = open_home(path)
    published: list[FloorSnapshot] = []
    try:
        services = Services(home.store, home, published.append, clock=clock)
        services.floors.start()
        yield Desk(home, services, made, published)
    finally:
        home.close()


def principal(role: Role, name: str = "somebody") -> Principal:
    return Principal("user", name, role, "rest", "127.0.0.1")
