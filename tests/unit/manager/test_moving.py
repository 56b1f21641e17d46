"""The store goes from one database to another, and back; whatever fails on the way leaves the home as it was."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support import postgres
from tests.support.homes import ROOT, new_home, reopened
from tests.support.seeded import seeded

from plimsoll.manager import config
from plimsoll.manager.home import HomeError, open_home
from plimsoll.manager.moving import move_database
from plimsoll.manager.ports import BadInput
from plimsoll.manager.store import Connection, audit, copying, tables
from plimsoll.manager.store.copying import Row, Summary

#: More than fit into one batch.
MANY = 3000


@pytest.fixture
def server() -> postgres.Server:
    return postgres.shared()


@pytest.fixture
def url(server: postgres.Server) -> Iterator[str]:
    name = postgres.new_database(server)
    yield server.tcp_url(name)
    postgres.drop(server, name)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with every kind of thing, and much of some."""
    folder = tmp_path_factory.mktemp("full")
    with seeded(folder) as made:
        made.at.home.store.write(_more)
    return folder / "home"


def _more(connection: Connection) -> None:
    rows = [
        {"id": number * 7919, "point": "gui", "address": f"10.0.{number % 250}.1", "ja4": "t13d", "outcome": "served",
         "negotiated": "TLSv1.3", "who": "\x00odd \u00e9 \U0001f600" if number % 2 else "", "offered": None,
         "versions": ["TLSv1.3"], "sni": "", "user_agent": "curl", "count": 2**60 + number, "first": 0.1 + number,
         "last": 1.0, "detail": ""}
        for number in range(MANY)
    ]  # fmt: skip
    connection.execute(sa.insert(tables.sightings), rows)
    # JSON that is a bare number: SQLite keeps it as a number, PostgreSQL as its text.
    entry = {"time": 1.0, "who": "w", "via": "v", "address": "", "action": "a", "target": "t", "before": None}
    for number in (600, -3, 1.5, 1795827962.979584, 2**53 + 1):
        audit.append(connection, **entry, after=number)
    # A parent with a higher number than its child, and a number that was given and is free again.
    connection.execute(sa.text("insert into computer_groups (id, name, description) values (60, 'parent', '')"))
    connection.execute(
        sa.text("insert into computer_groups (id, name, description, parent_id) values (50, 'c', '', 60)")
    )
    connection.execute(sa.text("insert into computer_groups (id, name, description) values (900, 'gone', '')"))
    connection.execute(sa.delete(tables.computer_groups).where(tables.computer_groups.c.id == 900))


@pytest.fixture
def home(full: Path, tmp_path: Path) -> Path:
    shutil.copytree(full, tmp_path / "home")
    return tmp_path / "home"


def summaries(home: Path, *, but: tuple[str, ...] = ()) -> Mapping[str, Summary]:
    opened = open_home(home)
    try:
        return opened.store.read(
            lambda c: {one.name: copying.summarise(c, one) for one in copying.tables() if one.name not in but}
        )
    finally:
        opened.close()


#: What tells of the move itself.
TOLD = ("audit", "events", "facts")


def test_there_and_back_all_is_equal_and_numbers_count_on(home: Path, url: str) -> None:
    before = summaries(home, but=TOLD)
    assert before["sightings"].rows == MANY
    told: dict[str, int] = {}
    moved = move_database(home, url, postgres.PASSWORD, told.__setitem__)
    assert moved.target == url
    assert told["sightings"] == MANY
    assert moved.rows == sum(told.values())
    assert Path(moved.kept).parent == home / "backup"
    assert not (home / "plimsoll.db").exists()
    assert config.load(home / config.FILE_NAME).database == url
    assert (home / "database.pass").stat().st_mode & 0o777 == 0o600
    assert summaries(home, but=TOLD) == before
    _, made = new_home(home.parent / "other")
    with reopened(home, made) as desk:
        assert desk.services.audit.verify(ROOT).ok
        assert desk.services.groups.create(ROOT, "after").id > 900
        assert desk.home.store.read(lambda c: c.execute(sa.text("select max(number) from events")).scalar_one()) >= 2060
    after = summaries(home, but=TOLD)
    assert move_database(home, "sqlite").kept == url
    assert config.load(home / config.FILE_NAME).database == "sqlite"
    assert summaries(home, but=TOLD) == after
    with reopened(home, made) as desk:
        assert desk.services.audit.verify(ROOT).ok
        assert desk.services.groups.create(ROOT, "later").id > 901


def test_a_copy_that_is_not_equal_switches_nothing(home: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = copying.write

    def lossy(connection: Connection, table: sa.Table, rows: list[Row]) -> None:
        honest(connection, table, rows[1:] if table.name == "sightings" else rows)

    monkeypatch.setattr(copying, "write", lossy)
    with pytest.raises(HomeError, match="the copy of sightings is not equal"):
        move_database(home, url, postgres.PASSWORD)
    monkeypatch.undo()
    _as_it_was(home)
    move_database(home, url, postgres.PASSWORD)


def _as_it_was(home: Path) -> None:
    assert config.load(home / config.FILE_NAME).database == "sqlite"
    assert not (home / "database.pass").exists()
    open_home(home).close()


KILLED = """
import os, sys
from pathlib import Path
from plimsoll.manager.moving import move_database
def progress(table, rows):
    if table == "sightings":
        os._exit(9)
move_database(Path(sys.argv[1]), sys.argv[2], None, progress)
"""


def test_a_kill_half_way_leaves_the_home_and_an_empty_database(home: Path, server: postgres.Server, url: str) -> None:
    name = url.rpartition("/")[2]
    done = subprocess.run([sys.executable, "-c", KILLED, str(home), server.url(name)], check=False)
    assert done.returncode == 9
    _as_it_was(home)
    move_database(home, server.url(name))
    assert config.load(home / config.FILE_NAME).database == server.url(name)


def test_what_cannot_be_moved_to_is_refused(home: Path, server: postgres.Server, url: str) -> None:
    with pytest.raises(BadInput, match="nothing was changed"):
        move_database(home, "mysql://x")
    with pytest.raises(HomeError, match="already"):
        move_database(home, "sqlite")
    with pytest.raises(HomeError, match="password"):
        move_database(home, url, "wrong")
    server.do("create table other (x int)", database=url.rpartition("/")[2])
    with pytest.raises(HomeError, match="is not empty"):
        move_database(home, url, postgres.PASSWORD)
    _as_it_was(home)


def test_a_database_with_an_earlier_copy_is_named_as_such(home: Path, server: postgres.Server, url: str) -> None:
    former = home.parent / "former"
    shutil.copytree(home, former)
    move_database(former, url, postgres.PASSWORD)
    with pytest.raises(HomeError, match="a copy of this installation already"):
        move_database(home, url, postgres.PASSWORD)
    _as_it_was(home)


def test_a_running_manager_keeps_its_database(home: Path, url: str) -> None:
    opened = open_home(home)
    try:
        with pytest.raises(HomeError, match="in use"):
            move_database(home, url, postgres.PASSWORD)
    finally:
        opened.close()
