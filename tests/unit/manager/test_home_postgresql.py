"""A home whose store is in PostgreSQL: made, opened, upgraded, and refused in words that show no secret."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import postgres
from tests.support.homes import FIXTURES, OLD_HOMES, ROOT, drop_database, new_home, old_home, reopened
from tests.unit.manager.test_upgrade import EXPECTED

from plimsoll.manager.home import HomeError, init_home, open_home
from plimsoll.manager.ports import BadInput
from plimsoll.manager.upgrade import upgrade_home
from plimsoll.tls.versions import Version


@pytest.fixture
def name() -> Iterator[str]:
    server = postgres.shared()
    made = postgres.new_database(server)
    yield made
    postgres.drop(server, made)


@pytest.fixture
def server() -> postgres.Server:
    return postgres.shared()


@pytest.mark.rule("R4")
@pytest.mark.rule("R6")
def test_a_new_home_s_store_is_there_and_enforces_tls_1_2(
    tmp_path: Path, server: postgres.Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = init_home(tmp_path / "home", store=server.tcp_url(name), store_password=postgres.PASSWORD)
    assert made.database == server.tcp_url(name)
    assert not (tmp_path / "home" / "plimsoll.db").exists()
    # Left behind by somebody who asked the database something; the home's own file is what counts.
    monkeypatch.setenv("PGPASSWORD", "not-this-one")
    password = tmp_path / "home" / "database.pass"
    assert password.stat().st_mode & 0o777 == 0o600
    for path in (tmp_path / "home").rglob("*"):
        assert path == password or not path.is_file() or postgres.PASSWORD.encode() not in path.read_bytes(), path
    with reopened(tmp_path / "home", made) as desk:
        assert {view.floor for view in desk.services.floors.show(ROOT).floors} == {Version.TLS1_2}
        view = desk.services.database.show(ROOT)
        assert (view.engine, view.address, view.local) == ("postgresql", server.tcp_url(name), False)
        assert (view.protection, view.problem) == ("", "")
        part = next(one for one in desk.services.judgement.fleet().parts if one.kind == "database")
        assert part.database is not None
        assert (part.database.engine, part.database.encrypted) == ("postgresql", False)
        assert desk.services.judgement.preflight(ROOT, "TLSv1.3").blockers == ()


def test_a_password_in_the_address_is_kept_apart(tmp_path: Path, server: postgres.Server, name: str) -> None:
    url = server.tcp_url(name).replace("plimsoll@", "plimsoll:it%27s%20a%20%5C%20secret%3A%20%2540@")
    made = init_home(tmp_path / "home", store=url)
    assert "secret" not in made.database
    assert "secret" not in (tmp_path / "home" / "configuration.properties").read_text()
    open_home(tmp_path / "home").close()


def test_a_password_that_others_can_read_is_refused(tmp_path: Path, server: postgres.Server, name: str) -> None:
    init_home(tmp_path / "home", store=server.tcp_url(name), store_password=postgres.PASSWORD)
    password = tmp_path / "home" / "database.pass"
    password.chmod(0o640)
    with pytest.raises(HomeError, match="chmod 600"):
        open_home(tmp_path / "home")
    password.write_text(password.read_text().replace("secret", "mistake"))
    password.chmod(0o600)
    with pytest.raises(HomeError, match=r"password authentication failed.*database\.pass") as caught:
        open_home(tmp_path / "home")
    assert "mistake" not in caught.value.message


def test_what_cannot_be_a_new_home_s_store_makes_nothing(tmp_path: Path, server: postgres.Server, name: str) -> None:
    home = tmp_path / "home"
    for store, words in (
        (server.tcp_url(name), "no password supplied.*--database-password-file"),
        ("postgresql://a@127.0.0.1:1/x", "Connection refused"),
    ):
        with pytest.raises(HomeError, match=words):
            init_home(home, store=store)
    for store, password, words in (
        ("mysql://a:hidden@h/x", None, "must be sqlite"),
        ("sqlite", "hidden", "no password"),
    ):
        with pytest.raises(BadInput, match=words) as caught:
            init_home(home, store=store, store_password=password)
        assert "hidden" not in caught.value.message
    assert not home.exists()


def test_a_database_that_holds_another_installation_is_left_alone(
    tmp_path: Path, server: postgres.Server, name: str
) -> None:
    init_home(tmp_path / "first", store=server.url(name))
    with pytest.raises(HomeError, match="already holds the installation"):
        init_home(tmp_path / "second", store=server.url(name))
    assert not (tmp_path / "second").exists()
    other, _ = new_home(tmp_path)
    with (other / "configuration.properties").open("a") as file:
        file.write(f"database={server.url(name)}\n")
    with pytest.raises(HomeError, match="whose CA is not the one"):
        open_home(other)
    open_home(tmp_path / "first").close()


def test_a_copied_home_is_told_who_uses_the_database(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path, "postgresql")
    shutil.copytree(home, tmp_path / "copy")
    opened = open_home(home)
    try:
        with pytest.raises(HomeError, match="another manager uses this database"):
            open_home(tmp_path / "copy")
    finally:
        opened.close()
    open_home(tmp_path / "copy").close()
    drop_database(home)


def test_an_empty_database_is_no_store(tmp_path: Path, server: postgres.Server, name: str) -> None:
    home, _ = new_home(tmp_path)
    with (home / "configuration.properties").open("a") as file:
        file.write(f"database={server.url(name)}\n")
    with pytest.raises(HomeError, match="holds no installation"):
        open_home(home)


@pytest.mark.rule("R7")
@pytest.mark.parametrize(
    "old", [pytest.param(old, marks=() if old in ("edited", "unset-11.0") else pytest.mark.deep) for old in OLD_HOMES]
)
def test_an_upgrade_keeps_every_floor(old: str, tmp_path: Path) -> None:
    home = old_home(old, tmp_path, "postgresql")
    with pytest.raises(HomeError, match="manager upgrade"):
        open_home(home)
    result = upgrade_home(home)
    assert {point: floor.value for point, floor in result.floors.items()} == EXPECTED[old]
    assert (result.already, result.backup) == (False, None)
    assert list((home / "backup").glob("configuration-*.properties"))
    again = upgrade_home(home)
    assert again.already
    assert again.floors == result.floors
    opened = open_home(home)
    opened.close()
    drop_database(home)


@pytest.mark.rule("R7")
def test_an_upgrade_that_is_killed_ends_at_the_same_floors() -> None:
    command = [sys.executable, "-m", "tests.unit.manager.kill_upgrade", "unset-11.0"]
    command += [json.dumps(EXPECTED["unset-11.0"]), "9", "postgresql"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, cwd=FIXTURES.parents[2])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 2
