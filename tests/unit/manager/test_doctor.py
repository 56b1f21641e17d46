"""Each misconfiguration is made, and found by its name."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import new_home
from tests.support.process import free_ports

from plimsoll.fleet.diagnosis import Diagnosis
from plimsoll.manager import config, doctor
from plimsoll.manager.doctor import examine
from plimsoll.net.proxy import UNTRUSTED_HEADER

GOOD: Mapping[str, Any] = {
    "/api/manager/database": {"engine": "sqlite", "state": "reachable", "checkedDatabases": []},
    "/api/events?limit=1": {"events": []},
    "/api/computers": {"computers": []},
    "/api/tls/sightings?limit=200": {"sightings": []},
}


class Manager:
    """A home, and what its manager answers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.answers: dict[str, Any] = dict(GOOD)
        self.now = time.time()

    def verdicts(self) -> dict[str, str]:
        """The worst of each check."""
        found: dict[str, str] = {}
        for one in examine(self.home, self.answers.__getitem__, self.now):
            found.setdefault(one.check, one.verdict)
            assert one.verdict in ("good", "unknown") or one.remedy, one
        return found

    def problems(self) -> list[Diagnosis]:
        return [one for one in examine(self.home, self.answers.__getitem__, self.now) if one.verdict == "problem"]

    def set(self, key: str, value: str) -> None:
        config.write_value(self.home / config.FILE_NAME, key, value)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Manager]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Manager(new_home(tmp_path, "sqlite")[0])
        made.set("publicName", "localhost")
        made.answers["/api/manager/status"] = {"state": "running", "ports": {"gui": listener.getsockname()[1]}}
        yield made


def test_nothing_is_wrong_with_a_new_home(at: Manager) -> None:
    assert set(at.verdicts().values()) == {"good"}, at.verdicts()


def test_a_closed_port_and_a_stopped_manager(at: Manager) -> None:
    at.answers["/api/manager/status"] = {"state": "running", "ports": {"gui": free_ports(1)[0]}}
    assert at.verdicts()["ports"] == "problem"
    gui, heartbeat = free_ports(2)
    at.set("guiPort", str(gui))
    at.set("heartbeatPort", str(heartbeat))
    at.answers["/api/manager/status"] = {"state": "stopped"}
    assert at.verdicts()["manager"] == "problem"
    with socket.create_server(("127.0.0.1", gui)):
        (found,) = at.problems()
        assert (found.check, f"port {gui}" in found.text, "guiPort=" in found.remedy) == ("ports", True, True), found
    del at.answers["/api/manager/status"]
    assert at.verdicts()["manager"] == "problem"


def test_a_name_that_is_not_in_the_certificate_or_in_dns(at: Manager) -> None:
    at.set("publicName", "other.invalid")
    assert at.verdicts()["name"] == "problem"
    at.set("publicName", "")
    assert at.verdicts()["name"] == "warning"


def test_a_certificate_that_expires_or_is_not_valid_yet(at: Manager) -> None:
    at.now += 60 * 86400
    assert at.verdicts()["certificate"] in ("warning", "good")
    at.now += 5000 * 86400
    assert at.verdicts()["certificate"] == "problem"
    at.now = time.time() - 10 * 86400
    assert at.verdicts()["clock"] == "problem"


def test_a_clock_that_is_behind_what_is_stored(at: Manager) -> None:
    at.answers["/api/events?limit=1"] = {"events": [{"time": at.now + 3600}]}
    assert at.verdicts()["clock"] == "problem"


def test_the_floor_against_computers_and_policies_that_wait(at: Manager) -> None:
    said = {"agentStatusMessages": ["Communications Problem: it offers TLSv1 only"]}
    computers: list[dict[str, Any]] = [
        {"hostName": "old", "computerStatus": said, "policyPending": True, "lastIPUsed": "10.0.0.1"},
        {"hostName": "late", "state": "approval", "lastIPUsed": "10.0.0.2"},
    ]
    at.answers["/api/computers"] = {"computers": computers}
    found = at.verdicts()
    assert (found["floor"], found["policies"], found["approval"]) == ("problem", "warning", "warning")
    texts = " ".join(one.text for one in examine(at.home, at.answers.__getitem__, at.now))
    assert "old: it offers TLSv1 only" in texts


def test_proxies(at: Manager) -> None:
    at.answers["/api/computers"] = {"computers": [{"hostName": f"h{n}", "lastIPUsed": "10.0.0.9"} for n in range(9)]}
    assert at.verdicts()["proxies"] == "warning", "all come from one address"
    said = {"address": "10.0.0.9", "detail": UNTRUSTED_HEADER, "last": at.now}
    at.answers["/api/tls/sightings?limit=200"] = {"sightings": [said]}
    assert [one.check for one in at.problems()] == ["proxies"], "a balancer that nobody named"
    at.answers["/api/tls/sightings?limit=200"] = {"sightings": [said | {"last": at.now - 2 * 3600}]}
    for value in ("0.0.0.0/0", "10.0.0.9, nonsense"):
        at.set("trustedProxies", value)
        assert at.verdicts()["proxies"] == "problem"
    at.set("trustedProxies", "10.0.0.9")
    assert "proxies" not in at.verdicts()


def test_the_database(at: Manager) -> None:
    base = dict(GOOD["/api/manager/database"])
    old = {"address": "sqlserver://h:1433", "blocks": True, "text": "accepts TLSv1.0"}
    for more, verdict in (
        ({"problem": "Connection refused"}, "problem"),
        ({"advice": "turn encryption on"}, "warning"),
        ({"checkedDatabases": [old]}, "problem"),
    ):
        at.answers["/api/manager/database"] = base | more
        assert at.verdicts()["database"] == verdict


def test_modes_and_disk(at: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    key = at.home / "ca" / "ca.key"
    key.chmod(0o640)
    assert at.verdicts()["modes"] == "problem"
    key.chmod(0o600)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 40, 0, 1 << 20))  # type: ignore[attr-defined]
    assert at.verdicts()["disk"] == "problem"


def test_a_malformed_file_is_named_with_its_line(at: Manager) -> None:
    at.set("guiPort", "4119x")
    (found,) = examine(at.home, at.answers.__getitem__, at.now)
    assert (found.check, found.verdict) == ("configuration", "problem")
    assert "line" in found.text
    at.set("guiPort", "4119")
    at.set("guiPrt", "4119")
    assert at.verdicts()["configuration"] == "warning"


def test_a_look_that_fails_costs_no_other(at: Manager) -> None:
    at.answers["/api/computers"] = {}
    found = at.verdicts()
    assert found["computers"] == "unknown"
    assert found["disk"] == "good"


def test_a_database_that_is_away_is_the_one_cause(at: Manager) -> None:
    at.answers["/api/manager/status"]["database"] = {"state": "unreachable", "problem": "Connection refused"}
    for path in ("/api/manager/database", "/api/events?limit=1", "/api/computers"):
        del at.answers[path]
    (found,) = (one for one in examine(at.home, at.answers.__getitem__, at.now) if one.verdict != "good")
    assert (found.check, found.verdict) == ("database", "problem")
    assert "Connection refused" in found.text


def test_a_name_that_does_not_resolve_is_no_closed_port(at: Manager) -> None:
    at.set("publicName", "other.invalid")
    assert at.verdicts()["ports"] == "good"


def test_a_folder_that_is_no_home_is_no_malformed_file(tmp_path: Path) -> None:
    (found,) = examine(tmp_path / "nosuch", dict[str, Any]().__getitem__, 0.0)
    assert (found.check, "--agent-home" in found.remedy) == ("home", True)


def test_a_home_that_cannot_be_written_to_is_why_nothing_answers(at: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plimsoll.manager.doctor.os.access", lambda path, mode: path != at.home / "run")
    del at.answers["/api/manager/status"]
    (found,) = at.problems()
    assert (found.check, str(at.home / "run") in found.text) == ("home", True)
