from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.homes import FIXTURES, OLD_HOMES, ROOT, new_home, old_home, reopened

from plimsoll import RELEASE
from plimsoll.manager.home import HomeError, HomeLock, open_home
from plimsoll.manager.upgrade import upgrade_home
from plimsoll.messages import Kind
from plimsoll.tls.versions import Version

EARLY = dict.fromkeys(("heartbeat", "gui", "relay", "agent"), "TLSv1")
ENFORCED = dict.fromkeys(("heartbeat", "gui", "relay", "agent"), "TLSv1.2")
#: The floors that each old home held, and so holds after.
EXPECTED = {"early": EARLY, "enforced": ENFORCED, "edited": {**EARLY, "gui": "TLSv1.2"}, "unset-11.0": EARLY}


def upgraded(name: str, folder: Path) -> Path:
    home = old_home(name, folder)
    upgrade_home(home)
    return home


@pytest.mark.rule("R7")
@pytest.mark.parametrize("name", OLD_HOMES)
def test_an_upgrade_keeps_every_floor(name: str, tmp_path: Path) -> None:
    home = old_home(name, tmp_path)
    before = (home / "configuration.properties").read_bytes()
    result = upgrade_home(home)
    assert {point: floor.value for point, floor in result.floors.items()} == EXPECTED[name]
    assert not result.already
    assert result.to_release == RELEASE
    after = (home / "configuration.properties").read_bytes()
    if name == "unset-11.0":
        # Nothing said that 4119 was open: the line does now, and nothing else in the file moved.
        assert after == before.replace(b"Plimsoll\n", b"Plimsoll\nprotocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3\n")
    else:
        assert after == before
    assert (home / "configuration.properties").stat().st_mode & 0o777 == 0o640


@pytest.mark.rule("R7")
@pytest.mark.parametrize("name", OLD_HOMES)
def test_an_upgraded_home_runs_and_says_where_it_came_from(name: str, tmp_path: Path) -> None:
    _, made = new_home(tmp_path)
    with reopened(upgraded(name, tmp_path), made) as desk:
        shown = {view.point.value: view.floor.value for view in desk.services.floors.show(ROOT).floors}
        assert shown == EXPECTED[name]
        assert desk.services.floors.show(ROOT).drift is None
        assert {p.value: v.value for p, v in desk.published[-1].floors.items()} == EXPECTED[name]
        fleet = desk.services.judgement.fleet()
        assert fleet.installation == "upgrade"
        assert fleet.installed_from in ("11.3.184", "10.0.3367", "11.2.225", "11.0.221")
        causes = [(entry.cause, entry.point.value) for entry in desk.services.floors.history(ROOT)]
        assert [point for cause, point in causes if cause == "upgrade"] == ["agent", "relay", "gui", "heartbeat"]
        assert {one.hostname for one in desk.services.computers.list(ROOT)} >= {"db01", "old-payroll", "relay-hq"}
        assert len(tuple(desk.services.computers.registry())) == len(desk.services.computers.list(ROOT))
        assert desk.services.events.list(ROOT)[0].number == 704


@pytest.mark.rule("R7")
@pytest.mark.rule("R17")
def test_relays_that_were_never_sent_a_floor_keep_their_versions_default(tmp_path: Path) -> None:
    _, made = new_home(tmp_path)
    with reopened(upgraded("unset-11.0", tmp_path), made) as desk:
        relays = {relay.name: relay for relay in desk.services.judgement.relays(ROOT)}
        old, new = relays["relay-hq"], relays["relay-new"]
        assert (old.holds, old.origin) == (Version.TLS1_0, "kept through an upgrade")
        assert (new.holds, new.origin) == (Version.TLS1_2, "kept through an upgrade")
    sub = tmp_path / "early"
    sub.mkdir()
    with reopened(upgraded("early", sub), made) as desk:
        relays = {relay.name: relay for relay in desk.services.judgement.relays(ROOT)}
        assert (relays["relay-hq"].holds, relays["relay-hq"].origin) == (Version.TLS1_0, "policy")
        assert relays["relay-branch"].origin == "kept through an upgrade"
        policies = {policy.name: policy for policy in desk.services.policies.list(ROOT)}
        assert policies["Desktops"].effective.relay_floor is Version.TLS1_0
        assert policies["Desktops"].effective.heartbeat_seconds == 3600
        assert policies["Desktops"].parent == "Base"
        assert len(desk.services.computers.list(ROOT, kind=Kind.RELAY)) == 2


def test_the_old_store_and_file_are_kept(tmp_path: Path) -> None:
    home = old_home("early", tmp_path)
    result = upgrade_home(home)
    assert result.backup is not None
    with sqlite3.connect(result.backup) as connection:
        assert connection.execute("select version_num from alembic_version").fetchone() == ("0001",)
        assert connection.execute("select version from floors").fetchone() == ("TLSv1",)
    connection.close()
    assert (home / "backup" / "configuration-11.3.184.properties").exists()
    again = upgrade_home(home)
    assert again.already
    assert again.floors == result.floors
    assert again.from_release == "11.3.184"


def test_an_old_home_is_not_opened_before_its_upgrade(tmp_path: Path) -> None:
    home = old_home("early", tmp_path)
    with pytest.raises(HomeError, match="manager upgrade"):
        open_home(home)


def test_a_log_that_a_killed_manager_left_is_not_lost(tmp_path: Path) -> None:
    home = old_home("early", tmp_path)
    writer = sqlite3.connect(home / "plimsoll.db")
    writer.execute("pragma journal_mode=wal")
    writer.execute("update floors set version = 'TLSv1.1'")
    writer.commit()
    # What a SIGKILL leaves: the log beside the file, with the last commit only there.
    (tmp_path / "left").mkdir()
    for file in home.glob("plimsoll.db*"):
        shutil.copy(file, tmp_path / "left" / file.name)
    writer.close()
    for file in (tmp_path / "left").iterdir():
        shutil.copy(file, home / file.name)
    assert (home / "plimsoll.db-wal").stat().st_size > 0
    assert upgrade_home(home).floors["heartbeat"] is Version.TLS1_1
    assert not (home / "plimsoll.db-wal").exists()


def test_a_running_manager_is_not_upgraded(tmp_path: Path) -> None:
    home = old_home("early", tmp_path)
    lock = HomeLock(home)
    try:
        with pytest.raises(HomeError, match="in use by process"):
            upgrade_home(home)
    finally:
        lock.release()


def test_a_home_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    home = old_home("early", tmp_path)
    with sqlite3.connect(home / "plimsoll.db") as connection:
        connection.execute("update alembic_version set version_num = '0999'")
    connection.close()
    with pytest.raises(HomeError, match="later release"):
        upgrade_home(home)
    with pytest.raises(HomeError, match="later release"):
        open_home(home)


@pytest.mark.rule("R7")
@pytest.mark.parametrize("name", OLD_HOMES)
def test_an_upgrade_that_is_killed_at_any_step_ends_at_the_same_floors(name: str) -> None:
    # The home that needs a line in its file takes every step that there is; the others are sampled.
    stride = "1" if name == "unset-11.0" or os.environ.get("PLIMSOLL_DEEP") else "3"
    command = [sys.executable, "-m", "tests.unit.manager.kill_upgrade", name, json.dumps(EXPECTED[name]), stride]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, cwd=FIXTURES.parents[2])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= (25 if stride == "1" else 8)
