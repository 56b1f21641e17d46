"""What the manager says of its fleet: who is refused and why, who is silent, who is a stranger, who may do what."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.manager import HOST, Manager, manager, peer
from tests.support.process import eventually
from tests.support.tools import s_client, s_client_early

from plimsoll.testing.certificates import TestAuthority

pytestmark = pytest.mark.xdist_group("manager-fleet")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A manager at early TLS whose computers beat every second and are offline after two misses."""
    with manager(tmp_path_factory.mktemp("fleet") / "home") as made:
        made.post("/api/policies/1", {"heartbeatSeconds": 1, "missedHeartbeats": 1})
        made.set_minimum("TLSv1")
        yield made


def events(of: Manager, number: int, target: str) -> list[dict[str, Any]]:
    found = of.get("/api/events", limit=1000)["events"]
    return [event for event in found if event["number"] == number and event["target"] == target]


@pytest.mark.rule("G4")
def test_a_computer_that_the_raise_cuts_off_is_named_with_tls_as_the_reason(quick: Manager, tmp_path: Path) -> None:
    with peer(quick, tmp_path / "old", "9.6", address="127.0.0.61"):
        quick.computer("old")
        assert s_client_early(quick.heartbeat_port).connected
        quick.set_floor("TLSv1.2", "heartbeat", force=True, reason="to see it refused")
        assert s_client_early(quick.heartbeat_port).refused_by_version
        (rejected, *_) = eventually(lambda: events(quick, 770, "old"), "the event that names the computer")
        for word in ("old", "TLS", "TLSv1.0", "TLSv1.2", "certain", "127.0.0.61"):
            assert word in rejected["description"]
        assert events(quick, 742, "old")
        (offline, *_) = eventually(lambda: events(quick, 730, "old"), "it goes offline")
        assert "TLS" in offline["description"]
        one = quick.computers()["old"]
        assert one["computerStatus"]["agentStatus"] == "error"
        assert any("TLS" in text for text in one["computerStatus"]["agentStatusMessages"])
        # What tried from another client on that host is not blamed on the computer.
        assert s_client_early(quick.heartbeat_port).refused_by_version
        quick.set_floor("TLSv1", "heartbeat")
        assert eventually(lambda: events(quick, 743, "old"), "the problem is resolved")
        assert eventually(lambda: events(quick, 731, "old"), "it is back")
        eventually(
            lambda: quick.computers()["old"]["computerStatus"]["agentStatus"] == "active", "the list says so too"
        )


def test_silence_is_noticed_and_so_is_the_return(quick: Manager, tmp_path: Path) -> None:
    with peer(quick, tmp_path / "quiet", "12.0.0", address="127.0.0.62"):
        quick.computer("quiet")
    (offline, *_) = eventually(lambda: events(quick, 730, "quiet"), "it goes offline")
    assert "TLS" not in offline["description"]
    assert quick.computers()["quiet"]["computerStatus"]["agentStatus"] == "error"
    with peer(quick, tmp_path / "quiet", "12.0.0", address="127.0.0.62"):
        assert eventually(lambda: events(quick, 731, "quiet"), "it is back")


def test_a_certificate_of_another_authority_is_nobodys(quick: Manager, tmp_path: Path) -> None:
    chain, key = TestAuthority().leaf("agent", "impostor").write(tmp_path, "impostor")
    refused = s_client(quick.heartbeat_port, "-tls1_2", "-cert", str(chain), "-key", str(key))
    assert not refused.connected or "alert" in refused.text
    assert "impostor" not in quick.computers()


def test_both_ports_follow_their_own_floor(quick: Manager) -> None:
    for gui, heartbeat in (("TLSv1.2", "TLSv1"), ("TLSv1", "TLSv1.2")):
        quick.set_floor(gui, "gui", force=True, reason="test")
        quick.set_floor(heartbeat, "heartbeat", force=True, reason="test")
        assert s_client_early(quick.gui_port).connected == (gui == "TLSv1")
        assert s_client_early(quick.heartbeat_port).connected == (heartbeat == "TLSv1")
    quick.set_minimum("TLSv1", force=True, reason="test")


def test_roles_over_the_real_port(quick: Manager) -> None:
    context = ssl.create_default_context(cafile=str(quick.ca))
    wanted = {
        "auditor": {"/api/tls/floors": 403, "/api/activationtokens": 403, "/api/apikeys": 403},
        "operator": {"/api/tls/floors": 200, "/api/activationtokens": 200, "/api/apikeys": 403},
        "administrator": {"/api/tls/floors": 200, "/api/activationtokens": 200, "/api/apikeys": 200},
    }
    bodies: dict[str, dict[str, object]] = {
        "/api/tls/floors": {"floor": "TLSv1", "point": "gui"},
        "/api/activationtokens": {},
        "/api/apikeys": {"name": "another", "role": "auditor"},
    }
    for role, answers in wanted.items():
        key = quick.post("/api/apikeys", {"name": f"the {role}", "role": role})["secretKey"]
        headers = {"api-secret-key": key}
        with httpx.Client(base_url=f"https://{HOST}:{quick.gui_port}", verify=context, headers=headers) as client:
            assert client.get("/api/computers").status_code == 200
            for path, status in answers.items():
                assert client.post(path, json=bodies[path]).status_code == status, (role, path)
    assert quick.client.get("/api/computers", headers={"api-secret-key": "1:AAAA"}).status_code == 401


def test_nobody_locks_himself_out(quick: Manager) -> None:
    context = ssl.create_default_context(cafile=str(quick.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    headers = {"api-secret-key": quick.api_key}
    with httpx.Client(base_url=f"https://{HOST}:{quick.gui_port}", verify=context, headers=headers) as client:
        answer = client.post("/api/tls/floors", json={"floor": "TLSv1.3", "point": "gui"})
        assert answer.status_code == 403, answer.text
    assert quick.floors()["gui"] == "TLSv1"


def test_programs_are_sighted_by_the_name_of_their_key(quick: Manager) -> None:
    made = quick.post("/api/apikeys", {"name": "nightly report", "role": "auditor"})
    context = ssl.create_default_context(cafile=str(quick.ca))
    headers = {"api-secret-key": made["secretKey"]}
    with httpx.Client(base_url=f"https://{HOST}:{quick.gui_port}", verify=context, headers=headers) as client:
        assert client.get("/api/computers").status_code == 200
    seen = [one for one in quick.get("/api/tls/sightings", limit=1000)["sightings"] if one["point"] == "gui"]
    assert f"apikey:{made['ID']}" in {one["who"] for one in seen}
