"""A backup of a home and what is made of it again, in both kinds of database; and what is refused."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from tests.support import postgres
from tests.support.homes import ROOT, Desk, desk, new_home, reopened

from plimsoll.manager import backup, config, sealed
from plimsoll.manager.backup import Made, back_up
from plimsoll.manager.home import HomeError, open_home
from plimsoll.manager.ports import BadInput
from plimsoll.manager.restore import restore
from plimsoll.manager.services.change_start import StartRequest
from plimsoll.manager.store import ca as ca_table
from plimsoll.manager.store import copying, facts, tables
from plimsoll.messages import Kind

WORD = b"a long passphrase"
#: What tells of the backup and of the restore, or is left behind on purpose.
TOLD = ("audit", "events", "facts", "sessions", "changes", "nodes", "leases")


def made_of(desk: Desk, file: Path, **more: Any) -> Made:
    return back_up(desk.home.path, file, WORD, cost=2, **more)


@pytest.fixture(params=["sqlite", "postgresql"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A running manager's home with something in it."""
    with desk(tmp_path / "old", kind=request.param) as opened:
        for name in ("web-1", "web-2"):
            opened.activate(name)
        opened.activate("relay-1", kind=Kind.RELAY)
        opened.services.groups.create(ROOT, "Berlin")
        opened.services.software_metadata.tend()
        depot = opened.home.path / "software" / "files"
        depot.mkdir(parents=True, exist_ok=True)
        (depot / "f00").write_bytes(os.urandom(300_000))
        yield opened


def summaries(store: Any) -> Mapping[str, copying.Summary]:
    found: Mapping[str, copying.Summary] = store.read(
        lambda c: {one.name: copying.summarise(c, one) for one in copying.tables() if one.name not in TOLD}
    )
    return found


def files(home: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path: ((home / path).stat().st_mode & 0o777, (home / path).read_bytes())
        for path in backup.files_of(home, software=True)
        if path != config.FILE_NAME and not path.endswith(("timestamp.json", ".snapshot.json", ".targets.json"))
    }


def test_a_restored_home_is_as_it_was_while_the_manager_ran(at: Desk, tmp_path: Path) -> None:
    file = tmp_path / "b.plimsoll"
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            at.home.store.write(lambda c: facts.put(c, "busy", str(time.time())))

    writer = threading.Thread(target=busy)
    writer.start()
    try:
        before = summaries(at.home.store)
        made = made_of(at, file)
    finally:
        stop.set()
        writer.join()
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob(".*")) == []
    for secret in (b"BEGIN", b"PRIVATE", b"web-1", b"argon2"):
        assert secret not in file.read_bytes()
    done = restore(file, tmp_path / "new" / "home", WORD)
    assert (done.rows, done.files, done.tables) == (made.rows, made.files, len(copying.tables()))
    assert files(tmp_path / "new" / "home") == files(at.home.path)
    assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700
    with reopened(tmp_path / "new" / "home", at.made) as again:
        assert config.load(again.home.config_path).database == "sqlite"
        assert summaries(again.home.store) == before
        assert again.services.audit.verify(ROOT).ok
        assert [one.number for one in again.services.events.list(ROOT, limit=500)].count(2062) == 1
        assert again.activate("web-3").installation == at.home.installation
    assert [one.number for one in at.services.events.list(ROOT, limit=500)].count(2061) == 1
    assert at.services.audit.verify(ROOT).ok


def test_counters_are_above_all_that_was_seen_before(at: Desk, tmp_path: Path) -> None:
    made_of(at, tmp_path / "b")
    restore(tmp_path / "b", tmp_path / "new", WORD)
    with reopened(tmp_path / "new", at.made) as again:
        floor, policy, restored = again.home.store.read(
            lambda c: [
                float(facts.get(c, name) or 0)
                for name in (facts.FLOOR_GENERATION, facts.POLICY_GENERATION, facts.RESTORED)
            ]
        )
        assert floor >= int(restored)
        assert policy >= int(restored)
        newest = again.home.store.read(lambda c: c.execute(sa.select(sa.func.max(tables.events.c.id))).scalar_one())
        assert newest > int(restored) - 2
        again.services.software_metadata.tend()
        roles = {one.role: one.version for one in again.services.software_metadata.show(ROOT).roles}
        old = {one.role: one.version for one in at.services.software_metadata.show(ROOT).roles}
        assert roles["root"] == old["root"]
        for role in ("targets", "snapshot", "timestamp"):
            assert roles[role] >= int(restored) >= old[role]


def test_into_postgresql_and_without_software(at: Desk, tmp_path: Path) -> None:
    server = postgres.shared()
    name = postgres.new_database(server)
    try:
        before = summaries(at.home.store)
        made_of(at, tmp_path / "b", software=False)
        assert (tmp_path / "b").stat().st_size < 300_000
        url = server.tcp_url(name)
        done = restore(tmp_path / "b", tmp_path / "new", WORD, url, postgres.PASSWORD)
        assert (done.database, done.software) == (url, False)
        assert not (tmp_path / "new" / "software" / "files").exists()
        with reopened(tmp_path / "new", at.made) as again:
            assert config.load(again.home.config_path).database == url
            assert summaries(again.home.store) == before
            assert again.services.groups.create(ROOT, "later").id > 1
        with pytest.raises(HomeError, match="already holds the installation"):
            restore(tmp_path / "b", tmp_path / "other", WORD, url, postgres.PASSWORD)
        assert not (tmp_path / "other").exists()
    finally:
        postgres.drop(server, name)


def test_changes_that_were_under_way_wait_for_a_person(at: Desk, tmp_path: Path) -> None:
    at.services.floors.set(ROOT, "TLSv1.2")
    at.services.changes.start(ROOT, StartRequest("TLSv1.3", ("gui",), soak=3600.0))
    made_of(at, tmp_path / "b")
    assert restore(tmp_path / "b", tmp_path / "new", WORD).paused == 1
    opened = open_home(tmp_path / "new")
    try:
        state, text = opened.store.read(
            lambda c: tuple(c.execute(sa.select(tables.changes.c.state, tables.changes.c.text)).one())
        )
    finally:
        opened.close()
    assert state == "paused"
    assert "restored from a backup" in text


# What is refused; a new home has one kind of database, which says nothing here


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup")
    home, _ = new_home(folder, "sqlite")
    back_up(home, folder / "b", WORD, cost=2)
    return folder / "b"


def refused(file: Path, home: Path, words: str, passphrase: bytes = WORD) -> None:
    before = sorted(home.parent.iterdir())
    with pytest.raises(HomeError, match=words):
        restore(file, home, passphrase)
    assert sorted(home.parent.iterdir()) == before, "nothing was left behind"


def test_a_home_that_is_not_empty_is_left_alone(file: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine").write_text("x")
    refused(file, tmp_path / "home", "is not empty")
    assert (tmp_path / "home" / "mine").read_text() == "x"


def test_a_wrong_passphrase_and_a_damaged_file_make_nothing(file: Path, tmp_path: Path) -> None:
    refused(file, tmp_path / "home", "passphrase is wrong", b"another passphrase")
    data = file.read_bytes()
    broken = tmp_path / "broken"
    for wrong in (data[:-1], data[: len(data) // 2], data + b"x", data[:-20] + bytes(20)):
        broken.write_bytes(wrong)
        refused(broken, tmp_path / "home", "damaged")
    broken.write_bytes(b"something else")
    refused(broken, tmp_path / "home", "no backup of Plimsoll's")
    broken.unlink()
    refused(broken, tmp_path / "home", "No such file")


def test_a_backup_of_a_newer_release_is_refused(file: Path, tmp_path: Path) -> None:
    with file.open("rb") as source:
        header, front = sealed.read_header(source)
        rest = source.read()
    for newer in (msgspec.structs.replace(header, release="13.0.0"), msgspec.structs.replace(header, revision="0007")):
        text = msgspec.json.encode(newer)
        (tmp_path / "newer").write_bytes(front[:8] + len(text).to_bytes(4, "big") + text + rest)
        refused(tmp_path / "newer", tmp_path / "home", "newer than this one")


def test_what_a_table_or_file_should_be_is_held_against_what_came(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = copying.write
    monkeypatch.setattr(copying, "write", lambda c, t, rows: honest(c, t, rows[1:] if t.name == "facts" else rows))
    refused(file, tmp_path / "home", "its table facts is not what it was")


def test_a_file_outside_of_the_home_is_never_written(tmp_path: Path) -> None:
    for path in ("../evil", "/evil", "ca/../../evil"):
        out = tmp_path / "b"
        header = sealed.Header("12.0.0", "0002", "x", time.time(), "sqlite", True, sealed.new_scrypt(2))
        with out.open("wb") as sink:
            writer = sealed.Writer(sink, header, WORD)
            sealed.put(writer, msgspec.msgpack.encode(backup.FileBegins(path, 0o600)))
            writer.finish()
        refused(out, tmp_path / "new", "outside of the home")


def test_a_backup_takes_no_file_s_place_and_no_short_passphrase(file: Path, tmp_path: Path) -> None:
    home, _ = new_home(tmp_path, "sqlite")
    with pytest.raises(BadInput, match="is there already"):
        back_up(home, file, WORD, cost=2)
    with pytest.raises(BadInput, match="at least 8"):
        back_up(home, tmp_path / "b", b"short", cost=2)
    with pytest.raises(HomeError, match="cannot be written"):
        back_up(home, tmp_path / "none" / "b", WORD, cost=2)
    with pytest.raises(HomeError, match="no configuration"):
        back_up(tmp_path, tmp_path / "b", WORD, cost=2)
    assert not (tmp_path / "b").exists()


def test_a_rotation_that_comes_between_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, _ = new_home(tmp_path, "sqlite")
    answers = iter(range(100))
    monkeypatch.setattr(ca_table, "newest", lambda connection: next(answers))
    with pytest.raises(HomeError, match="being rotated"):
        back_up(home, tmp_path / "b", WORD, cost=2)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["home"]
