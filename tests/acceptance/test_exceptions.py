"""Exceptions and shadow floors on a live manager, seen by real clients (R16, G1, G5)."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.manager import HOST, Manager, manager, peer
from tests.support.process import PATIENCE, eventually
from tests.support.tools import SClient, nmap_versions, s_client

from plimsoll.net.contexts import pinned_client
from plimsoll.tls.versions import Version

pytestmark = pytest.mark.xdist_group("exceptions")

EXCEPTED = "127.0.0.71"
OTHER = "127.0.0.72"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    with manager(tmp_path_factory.mktemp("exceptions") / "home") as made:
        made.post("/api/policies/1", {"heartbeatSeconds": 1, "missedHeartbeats": 1})
        yield made


def early(port: int, source: str) -> SClient:
    return s_client(port, "-tls1", "-cipher", "ALL:@SECLEVEL=0", "-bind", f"{source}:0")


def early_connection(port: int, source: str) -> ssl.SSLSocket:
    """A TLS 1.0 connection that stays open and says nothing."""
    plain = socket.create_connection((HOST, port), PATIENCE, (source, 0))
    return pinned_client(Version.TLS1_0).wrap_socket(plain)


@pytest.mark.rule("G5")
@pytest.mark.rule("R16")
def test_one_address_stays_at_early_tls_until_its_time_and_nobody_else_does(running: Manager) -> None:
    running.set_minimum("TLSv1.2")
    port = running.heartbeat_port
    assert early(port, EXCEPTED).refused_by_version
    begun = time.monotonic()
    added = running.cli(
        "exception", "add", "--source", EXCEPTED, "--lowest", "TLSv1", "--until", "15s", "--reason", "line 4 moves"
    )
    assert added.returncode == 0, added.stderr
    end = begun + 15
    held = early_connection(port, EXCEPTED)
    assert early(port, EXCEPTED).version == "TLSv1"
    assert early(port, OTHER).refused_by_version, "a second address at the same moment"
    assert early(running.gui_port, EXCEPTED).refused_by_version, "another point"
    assert set(nmap_versions([port])[port]) == {"TLSv1.2", "TLSv1.3"}, "nmap comes from 127.0.0.1"
    assert early(port, EXCEPTED).version == "TLSv1"
    assert time.monotonic() < end, "this machine is too slow for what is tried here"
    with held:
        assert held.version() == "TLSv1"
        assert held.recv(1) == b"", "what it let in is closed when it ends"
    assert time.monotonic() >= end - 0.5, "and not before"
    assert early(port, EXCEPTED).refused_by_version
    assert s_client(port, "-tls1_2", "-bind", f"{EXCEPTED}:0").connected
    events = eventually(
        lambda: [e for e in running.get("/api/events", limit=100)["events"] if e["number"] == 1956], "its end is told"
    )
    assert EXCEPTED in events[0]["description"]
    listed = running.cli("exception", "list", "--ended")
    assert "ended" in listed.stdout
    assert "line 4 moves" in listed.stdout


@pytest.mark.rule("R16")
def test_the_9_5_appliance_keeps_its_tls_1_0_while_every_other_peer_is_held_at_1_2(
    running: Manager, tmp_path: Path
) -> None:
    running.set_minimum("TLSv1")
    more = ["--guards", "vm-1,vm-2"]
    with (
        peer(running, tmp_path / "appliance", "9.5", kind="appliance", address="127.0.0.73", more=more),
        peer(running, tmp_path / "old", "9.6", address="127.0.0.74"),
        peer(running, tmp_path / "new", "12.0.0", address="127.0.0.75"),
    ):
        eventually(lambda: {"appliance", "old", "new"} <= set(running.computers()), "all three came")
        added = running.cli(
            "exception", "add", "--computer", "appliance", "--lowest", "TLSv1", "--until", "1h", "--reason", "R16"
        )
        assert added.returncode == 0, added.stderr
        judged = running.get("/api/tls/preflight", to="TLSv1.2", point="heartbeat")
        assert [one["who"] for one in judged["blockers"]] == ["old"]
        assert "appliance" in [one["who"] for one in judged["noted"]]
        running.set_floor("TLSv1.2", "heartbeat", force=True, reason="the old one is known")

        def status(name: str) -> Any:
            return running.computers()[name]["computerStatus"]["agentStatus"]

        eventually(lambda: status("old") == "error", "the other old one is refused")
        before = running.computers()["appliance"]["lastAgentCommunication"]
        eventually(lambda: running.computers()["appliance"]["lastAgentCommunication"] > before + 1500, "it goes on")
        assert running.computers()["appliance"]["tls"]["negotiated"] == "TLSv1"
        assert status("new") == "active"
        ended = running.cli("exception", "end", str(_id(running)))
        assert ended.returncode == 0, ended.stderr
        eventually(lambda: status("appliance") == "error", "without its exception it is refused too")
    running.set_minimum("TLSv1.2", force=True, reason="the test is over")


def _id(running: Manager) -> int:
    (one,) = running.get("/api/tls/exceptions")["exceptions"]
    return int(one["id"])


@pytest.mark.rule("G1")
def test_a_shadow_floor_names_whom_it_would_refuse_and_refuses_nobody(running: Manager, tmp_path: Path) -> None:
    running.set_minimum("TLSv1")
    with (
        peer(running, tmp_path / "older", "9.6", address="127.0.0.76"),
        peer(running, tmp_path / "newer", "12.0.0", address="127.0.0.77"),
    ):
        assert running.cli("shadow", "set", "TLSv1.2").returncode == 0

        def would_be() -> list[str]:
            return [one["name"] for one in running.get("/api/tls/shadow/report")["refused"]]

        eventually(lambda: "older" in would_be(), "it is counted")
        assert set(would_be()) == {"older"}
        told = running.cli("shadow", "report")
        assert told.returncode == 3
        assert "older" in told.stdout
        before = running.computers()["older"]["lastAgentCommunication"]
        eventually(lambda: running.computers()["older"]["lastAgentCommunication"] > before, "it is not refused")
        assert "older" in running.cli("shadow", "show").stdout
        assert running.cli("shadow", "clear").returncode == 0
    running.set_minimum("TLSv1.2", force=True, reason="the test is over")


@pytest.mark.rule("G1")
def test_a_shadow_floor_names_a_client_whose_connection_was_open_before(running: Manager) -> None:
    running.set_minimum("TLSv1")
    context = pinned_client(Version.TLS1_0)
    program = http.client.HTTPSConnection(HOST, running.gui_port, timeout=PATIENCE, context=context)

    def ask() -> int:
        program.request("GET", "/api/tls/minimum", headers={"api-secret-key": running.api_key})
        answer = program.getresponse()
        answer.read()
        return answer.status

    try:
        assert ask() == 200
        kept = program.sock
        eventually(lambda: running.get("/api/tls/sightings")["sightings"], "the handshake is stored")
        assert running.cli("shadow", "set", "TLSv1.2", "--point", "gui").returncode == 0
        since = time.time()
        found = eventually(
            lambda: [
                one
                for one in running.get("/api/tls/shadow/report")["refused"]
                if one["point"] == "gui" and one["negotiated"] == "TLSv1"
            ],
            "it is counted without another handshake",
        )
        assert [one["who"] for one in found] == ["apikey:1"]
        assert since - 5 < found[0]["last"] < since + PATIENCE
        assert ask() == 200
        assert program.sock is kept, "the connection is the same"
    finally:
        program.close()
    assert running.cli("shadow", "clear").returncode == 0
    running.set_minimum("TLSv1.2", force=True, reason="the test is over")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "10.0.0.7/24", "--until", "1d"], "10.0.0.7/32"),
        (["--source", "10.0.0.7", "--until", "2001-01-01"], "in the past"),
        (["--source", "10.0.0.7", "--until", "soon"], "--until"),
        (["--until", "1d"], "either a source network or a computer"),
        (["--source", "10.0.0.7"], "--until"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(running: Manager, arguments: list[str], words: str) -> None:
    before = running.get("/api/tls/exceptions")
    answer = running.cli("exception", "add", "--lowest", "TLSv1", "--reason", "x", *arguments)
    assert answer.returncode == 2, answer.stderr
    assert words in answer.stderr
    assert running.get("/api/tls/exceptions") == before
