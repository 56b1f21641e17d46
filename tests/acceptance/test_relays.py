"""A relay's floor: its release's default, what was sent, and what a handshake shows (R14, R17)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import activate, agent
from tests.support.manager import Manager, peer
from tests.support.process import eventually, free_ports
from tests.support.tools import s_client, s_client_early


def relay(manager: Manager, name: str) -> dict[str, Any]:
    """What the manager says of a relay's floor."""
    found: dict[str, Any] = next(row for row in manager.get("/api/tls/relays")["relays"] if row["name"] == name)
    return found


def observed(manager: Manager, name: str, floor: str) -> dict[str, Any]:
    """The relay once a handshake of the manager showed that floor."""
    eventually(lambda: relay(manager, name)["observed"] == floor, f"{name} is observed at {floor}")
    return relay(manager, name)


@pytest.fixture(scope="module")
def early(running: Manager) -> Manager:
    """The manager at early TLS, with short heartbeats for those who are activated now."""
    running.quick_policy()
    running.set_minimum("TLSv1")
    return running


@pytest.fixture(scope="module")
def real_relay(early: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The name and port of a real relay of this release."""
    home = tmp_path_factory.mktemp("relay") / "home"
    (port,) = free_ports(1)
    activate(early, home, "--relay", "--relay-port", str(port), "--name", "real-relay", token=early.new_token())
    with agent(home):
        name = eventually(
            lambda: next((row["name"] for row in early.get("/api/tls/relays")["relays"] if row["port"] == port), None),
            "the relay is listed",
        )
        yield name, port


@pytest.mark.rule("R14")
@pytest.mark.rule("R17")
def test_a_relay_keeps_its_floor_until_the_policy_is_sent(early: Manager, real_relay: tuple[str, int]) -> None:
    name, port = real_relay
    # Newly activated: its version's default, although the base policy says TLSv1 by now.
    assert s_client_early(port).refused_by_version
    row = observed(early, name, "TLSv1.2")
    assert (row["origin"], row["held"], row["pending"]) == ("version default", "TLSv1.2", True)

    early.post("/api/tls/send-policy", {"all": True})
    row = observed(early, name, "TLSv1")
    assert (row["origin"], row["sent"], row["pending"]) == ("policy", "TLSv1", False)
    assert s_client_early(port).connected

    # The manager is raised. The relay holds what it holds until the policy is sent.
    change = early.set_minimum("TLSv1.2")
    assert change["policies_pending"] >= 1
    row = relay(early, name)
    assert (row["held"], row["required"], row["pending"]) == ("TLSv1", "TLSv1.2", True)
    assert s_client_early(port).connected
    assert s_client_early(early.heartbeat_port).refused_by_version

    early.post("/api/tls/send-policy", {"all": True})
    row = observed(early, name, "TLSv1.2")
    assert (row["pending"], row["sent"]) == (False, "TLSv1.2")
    assert s_client_early(port).refused_by_version
    assert s_client(port, "-tls1_2").connected


@pytest.mark.rule("R17")
@pytest.mark.parametrize(("version", "floor"), [("11.0", "TLSv1"), ("11.1", "TLSv1.2")])
def test_a_relay_that_was_never_sent_a_policy_shows_its_versions_default(
    early: Manager, tmp_path: Path, version: str, floor: str
) -> None:
    """The manager is at TLSv1.2 and says so of its base policy; what counts is what the handshake shows."""
    early.set_minimum("TLSv1.2")
    (port,) = free_ports(1)
    name = f"relay-{version.replace('.', '-')}"
    address = f"127.31.0.{version[-1]}1"
    more = ["--relay-port", str(port)]
    with peer(early, tmp_path / name, version, kind="relay", address=address, more=more):
        row = observed(early, name, floor)
        assert (row["held"], row["origin"], row["sent"]) == (floor, "version default", None)
        assert s_client_early(port, address).connected is (floor == "TLSv1")
        assert s_client(port, "-tls1_2", host=address).connected


@pytest.mark.rule("R14")
def test_send_policy_reaches_one_relay_group_and_no_other(early: Manager, tmp_path: Path) -> None:
    early.set_minimum("TLSv1.2")
    ports = free_ports(2)
    token = early.new_token()
    names = ["relay-north", "relay-south"]
    for name in names:
        early.post("/api/relaygroups", {"name": f"{name} group"})
    with (
        peer(
            early,
            tmp_path / names[0],
            "11.0",
            token=token,
            kind="relay",
            address="127.31.1.1",
            more=["--relay-port", str(ports[0])],
        ),
        peer(
            early,
            tmp_path / names[1],
            "11.0",
            token=token,
            kind="relay",
            address="127.31.1.2",
            more=["--relay-port", str(ports[1])],
        ),
    ):
        for name in names:
            early.post(f"/api/computers/{early.computers()[name]['ID']}", {"relayGroup": f"{name} group"})
        assert early.post("/api/tls/send-policy", {"relayGroup": "relay-north group"})["queued"] == 1
        observed(early, names[0], "TLSv1.2")
        observed(early, names[1], "TLSv1")
        assert s_client_early(ports[0], "127.31.1.1").refused_by_version
        assert s_client_early(ports[1], "127.31.1.2").connected
