"""Every port at every floor, looked at with the tools that administrators use: nmap and openssl s_client (R18)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.agents import activate, agent
from tests.support.manager import Manager
from tests.support.process import eventually, free_ports
from tests.support.tools import FORBIDDEN, nmap_versions, s_client, s_client_early

from plimsoll.tls.versions import Version, from_floor

FLOORS = ["TLSv1", "TLSv1.2", "TLSv1.3"]


@dataclass
class Fleet:
    """A manager, a relay and an agent that listens as on 4118."""

    manager: Manager
    relay_port: int
    agent_port: int

    @property
    def ports(self) -> dict[str, int]:
        return {
            "gui": self.manager.gui_port,
            "heartbeat": self.manager.heartbeat_port,
            "relay": self.relay_port,
            "agent": self.agent_port,
        }

    def at(self, floor: str) -> None:
        """Sets the floor of all points and sends the policies that carry it."""
        self.manager.set_minimum(floor)
        if all(computer["floorHeld"] == floor for computer in self.manager.computers().values()):
            return
        self.manager.send_policy()
        eventually(
            lambda: all(computer["floorHeld"] == floor for computer in self.manager.computers().values()),
            f"relay and agent hold {floor}",
        )


@pytest.fixture(scope="module")
def fleet(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    relay_port, agent_port, unused = free_ports(3)
    running.quick_policy(direction="bidirectional")
    token = running.new_token(2)
    activate(
        running, folder / "relay", "--relay", "--relay-port", str(relay_port), "--listen-port", str(unused), token=token
    )
    activate(running, folder / "agent", "--listen-port", str(agent_port), token=token)
    with agent(folder / "relay"), agent(folder / "agent"):
        eventually(lambda: all(c["lastAgentCommunication"] for c in running.computers().values()), "both heartbeat")
        yield Fleet(running, relay_port, agent_port)


@pytest.mark.rule("R18")
@pytest.mark.rule("R13")
@pytest.mark.parametrize("floor", FLOORS)
def test_nmap_lists_the_floor_and_newer_only(fleet: Fleet, floor: str) -> None:
    fleet.at(floor)
    expected = {version.label for version in from_floor(Version(floor))}
    found = nmap_versions(list(fleet.ports.values()))
    for name, port in fleet.ports.items():
        assert set(found[port]) == expected, name
        suites = [suite for suites in found[port].values() for suite in suites]
        bad = [suite for suite in suites if any(word in suite for word in FORBIDDEN)]
        assert bad == [], name


@pytest.mark.parametrize("name", ["gui", "heartbeat", "relay", "agent"])
@pytest.mark.parametrize("floor", ["TLSv1.2", "TLSv1.3"])
def test_s_client_with_tls_1_0_is_refused_with_the_reason(fleet: Fleet, floor: str, name: str) -> None:
    fleet.at(floor)
    result = s_client_early(fleet.ports[name])
    assert result.refused_by_version, result.text


def test_s_client_with_tls_1_0_connects_where_early_tls_is_allowed(fleet: Fleet) -> None:
    fleet.at("TLSv1")
    for name, port in fleet.ports.items():
        result = s_client_early(port)
        assert result.connected, f"{name}: {result.text}"
        assert result.version == "TLSv1"


def test_a_modern_client_gets_the_same_strong_suite_at_both_floors(fleet: Fleet) -> None:
    suites: dict[str, dict[str, str]] = {}
    for floor in ("TLSv1.2", "TLSv1"):
        fleet.at(floor)
        for name, port in fleet.ports.items():
            result = s_client(port, "-tls1_2")
            assert result.connected, f"{name} at {floor}: {result.text}"
            assert result.version == "TLSv1.2"
            suites.setdefault(name, {})[floor] = result.suite
    for name, by_floor in suites.items():
        assert by_floor["TLSv1"] == by_floor["TLSv1.2"], name
        assert by_floor["TLSv1"].startswith("ECDHE-"), name
        assert "GCM" in by_floor["TLSv1"] or "CHACHA20" in by_floor["TLSv1"], name
