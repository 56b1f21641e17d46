"""Cipher profiles on a live manager, set by its commands and looked at with openssl and nmap."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import httpx
import pytest
from tests.support.manager import HOST, Manager, peer
from tests.support.process import eventually
from tests.support.tools import nmap_versions, s_client

pytestmark = pytest.mark.xdist_group("ciphers")

CBC, GCM = "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"
STRONG = {
    f"TLS_ECDHE_{key}_WITH_AES_{size}" for key in ("RSA", "ECDSA") for size in ("128_GCM_SHA256", "256_GCM_SHA384")
}


def set_profile(running: Manager, profile: str, *more: str) -> None:
    said = running.cli("ciphers", "set", profile, *more)
    assert said.returncode == 0, said.stderr


def got(port: int, suites: str, *more: str) -> str:
    return s_client(port, "-tls1_2", "-cipher", suites, *more).suite


@pytest.mark.rule("R18")
def test_strong_refuses_cbc_at_once_and_everybody_else_goes_on(running: Manager, tmp_path: Path) -> None:
    set_profile(running, "intermediate")
    ports = {"heartbeat": running.heartbeat_port, "gui": running.gui_port}
    tickets = {name: str(tmp_path / f"{name}.pem") for name in ports}
    for name, port in ports.items():
        assert got(port, CBC) == CBC
        assert got(port, GCM, "-sess_out", tickets[name]) == GCM
    started = running.get("/api/manager/status")["started"]
    with peer(running, tmp_path / "web-1", "10.0", address="127.0.0.81"):
        said = running.cli("ciphers", "set", "strong", "--reason", "the audit of November")
        assert said.returncode == 0, said.stderr
        assert said.stdout == "heartbeat: intermediate -> strong\ngui: intermediate -> strong\n"
        for name, port in ports.items():
            refused = s_client(port, "-tls1_2", "-cipher", CBC)
            assert not refused.connected
            assert "alert handshake failure" in refused.text
            assert got(port, f"{CBC}:{GCM}") == GCM
            resumed = s_client(port, "-tls1_2", "-cipher", GCM, "-sess_in", tickets[name])
            assert "Reused, TLSv1.2" in resumed.text, "a ticket of before the change"
        accepted = nmap_versions(list(ports.values()))
        assert all(set(accepted[port]["TLSv1.2"]) == STRONG for port in ports.values())
        before = running.computer("web-1")["lastAgentCommunication"]
        eventually(lambda: running.computer("web-1")["lastAgentCommunication"] > before, "heartbeats go on")
    assert running.get("/api/manager/status")["started"] == started, "nothing was restarted"
    shown = running.cli("floor", "show").stdout
    assert shown.count("strong") == 2
    shown = running.cli("ciphers", "show").stdout
    assert shown.count("_GCM_") == 8
    assert "_CBC_" not in shown
    assert "the audit of November" in running.cli("ciphers", "history").stdout
    events = [one for one in running.get("/api/events", limit=100)["events"] if one["number"] == 2020]
    assert "heartbeat went from intermediate to strong" in events[-2]["description"]


@pytest.mark.rule("R12")
def test_preflight_names_who_shares_no_suite_and_the_profile_waits(running: Manager, tmp_path: Path) -> None:
    set_profile(running, "intermediate")
    only_cbc = ("--suites", CBC)
    with peer(running, tmp_path / "old-1", "10.0", address="127.0.0.82", more=only_cbc) as agent:
        found = running.cli("preflight", "--ciphers", "strong", "--point", "heartbeat")
        assert found.returncode == 3, found.stderr
        assert "old-1 (agent 10.0) at 127.0.0.82" in found.stdout
        assert f"shares no cipher suite with strong; of ours it offers {CBC}" in found.stdout
        refused = running.cli("ciphers", "set", "strong")
        assert refused.returncode == 3
        assert "would cut off old-1; nothing was changed" in refused.stderr
        assert got(running.heartbeat_port, CBC) == CBC
        forced = running.cli("ciphers", "set", "strong", "--force", "--reason", "it is retired today", "--json")
        assert forced.returncode == 0, forced.stderr
        assert [one["who"] for one in json.loads(forced.stdout)["preflight"]["blockers"]] == ["old-1"]
        problem = eventually(
            lambda: [one for one in running.get("/api/events", limit=200)["events"] if one["number"] in (742, 770)],
            "the refusal is told by name",
        )
        assert "old-1" in json.dumps(problem)
        assert agent.process.poll() is None
        set_profile(running, "intermediate", "--point", "heartbeat")
        before = running.computer("old-1")["lastAgentCommunication"]
        eventually(lambda: running.computer("old-1")["lastAgentCommunication"] > before, "it comes back in")


@pytest.mark.rule("R12")
def test_an_api_client_is_affected_and_does_not_lock_itself_out(running: Manager) -> None:
    set_profile(running, "intermediate")
    context = ssl.create_default_context(cafile=str(running.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CBC)
    url = f"https://{HOST}:{running.gui_port}"
    with httpx.Client(base_url=url, verify=context, headers={"api-secret-key": running.api_key}, timeout=30) as client:
        assert client.get("/api/tls/ciphers").json()["points"][1]["profile"] == "intermediate"
        found = running.cli("preflight", "--ciphers", "modern", "--point", "gui")
        assert found.returncode == 5, found.stdout + found.stderr
        assert f"of ours it offers {CBC}" in found.stdout
        body = {"profile": "modern", "point": "gui"}
        answer = client.post("/api/tls/ciphers", json=body)
        assert answer.status_code == 403
        assert f"your own connection uses {CBC}" in answer.json()["message"]
        assert running.post("/api/tls/ciphers", body)["changed"] == [
            {"point": "gui", "from": "intermediate", "to": "modern"}
        ]
        with pytest.raises(httpx.HTTPError):
            client.get("/api/tls/ciphers")


def test_the_proof_says_the_profile_and_shows_the_suites(running: Manager, tmp_path: Path) -> None:
    set_profile(running, "strong", "--force", "--reason", "the proof")
    made = running.cli("proof", "--out", tmp_path / "proof")
    assert made.returncode == 0, made.stdout + made.stderr
    bundle = json.loads((tmp_path / "proof" / "bundle.json").read_text())
    assert {one["point"]: one["ciphers"] for one in bundle["floors"]} == {
        "heartbeat": "strong", "gui": "strong", "relay": None, "agent": None,
    }  # fmt: skip
    for place in bundle["places"]:
        if place["point"] in ("heartbeat", "gui"):
            assert (place["verdict"], place["ciphers"]) == ("proved", "strong")
            assert set(place["versions"]["TLSv1.2"]["suites"]) == STRONG
    assert "strong" in (tmp_path / "proof" / "proof.html").read_text()


def test_a_profile_outlives_the_process(running: Manager) -> None:
    set_profile(running, "strong", "--force", "--reason", "the restart")
    running.kill()
    running.start()
    assert got(running.gui_port, CBC) == ""
    assert got(running.gui_port, GCM) == GCM
    wrong = running.cli("ciphers", "set", "strongest")
    assert wrong.returncode == 2
    assert "valid are strong, modern, intermediate, legacy" in wrong.stderr
